package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/config"
)

// importing runs the command on files that it writes first, and returns what it
// printed with the folder's name taken out.
func importing(t *testing.T, files map[string]string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	var out, errs bytes.Buffer
	code = run(&env{stdout: &out, stderr: &errs}, append([]string{"config", "import"}, args...))
	return out.String(), errs.String(), code
}

const importable = "checkinterval=3\nvirtual=192.0.2.1:80\n\treal=10.0.0.1:80 gate\n"

func TestImport(t *testing.T) {
	for _, c := range []struct {
		name   string
		files  map[string]string
		args   []string
		code   int
		stdout string
		stderr string // all of it, or its first line with … behind it
	}{
		{name: "all carried", files: map[string]string{"x": importable}, args: []string{"x"}, stdout: `interval = "3s"`},
		{
			name: "lost", files: map[string]string{"x": "logfile=\"local0\"\n" + importable}, args: []string{"x"}, code: 3,
			stdout: `interval = "3s"`, stderr: "x:1: logfile: ipvsd logs to standard error, which systemd keeps: journalctl -u ipvsd\n",
		},
		{
			name: "note", files: map[string]string{"x": "virtual=192.0.2.1:80\n\treal=10.0.0.1:80 gate -w 3\n"}, args: []string{"x"}, stdout: "weight = 3",
			stderr: "x:2: note: ldirectord drops -w silently and takes the number behind it for the weight; so does the output\n",
		},
		{
			// The form of Debian's example: most of it is commented out.
			name: "commented out", files: map[string]string{"x": importable + "#virtual=192.0.2.1:443\n#\treal=192.0.2.2:443 masq\n#\treal=192.0.2.3:443 masq\n#\treal=192.0.2.4:443 masq\n"},
			args: []string{"x"}, stdout: `address = "192.0.2.1:80"`,
		},
		{name: "nothing but comments", files: map[string]string{"ldirectord.cf": "# Dummy configuration file.\n"}, args: []string{"ldirectord.cf"}, stdout: "clean_stop = true"},
		{name: "missing", args: []string{"x"}, code: 1, stderr: "ipvsd: x: no such file or directory\n"},
		{name: "folder", args: []string{"."}, code: 1, stderr: "ipvsd: .: is a directory\n"},
		{name: "binary", files: map[string]string{"x": "virtual=\x00"}, args: []string{"x"}, code: 1, stderr: "ipvsd: x: it holds NUL characters, so it is not a text file\n"},
		{name: "unknown", files: map[string]string{"x": "[Unit]\n"}, args: []string{"x"}, code: 1, stderr: "ipvsd: x: it looks like none of ldirectord, keepalived, heartbeat; name its format with --from\n"},
		{name: "named", files: map[string]string{"x": ""}, args: []string{"--from", "ldirectord", "x"}, stdout: "clean_stop = true"},
		{name: "wrong name", files: map[string]string{"x": ""}, args: []string{"--from", "nginx", "x"}, code: 1, stderr: "ipvsd: --from nginx: not a format that can be imported; write one of ldirectord, keepalived, heartbeat\n"},
		{name: "own", files: map[string]string{"x": "[[virtual]]\naddress = \"192.0.2.1:80\"\n"}, args: []string{"x"}, code: 1, stderr: "ipvsd: x: this is ipvsd's own file already; \"ipvsd config check -c\" reads it\n"},
		{name: "no file", code: 1, stderr: "ipvsd: an argument is missing; write ipvsd config import [--from FORMAT] [--secrets DIR] FILE... [flags]\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			stdout, stderr, code := importing(t, c.files, c.args...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || stderr != c.stderr {
				t.Errorf("exit %d, want %d; stderr %q, want %q; stdout\n%s", code, c.code, stderr, c.stderr, stdout)
			}
			if stdout != "" {
				if _, _, err := config.Parse("out", []byte(stdout)); err != nil {
					t.Errorf("%v in\n%s", err, stdout)
				}
			}
		})
	}
}

// TestImportSecrets: a password is never printed; it goes into a file that only
// its owner reads, and never over another one.
func TestImportSecrets(t *testing.T) {
	const file = "virtual=192.0.2.1:3306\n\treal=10.0.0.1:3306 gate\n\tlogin=\"u\"\n\tpasswd=\"hush hush\"\n\trequest=\"SELECT 1\"\n"
	files := map[string]string{"x": file}
	stdout, stderr, code := importing(t, files, "x")
	if code != 3 || strings.Contains(stdout+stderr, "hush") || !strings.Contains(stderr, "/etc/ipvsd/192.0.2.1-3306-passwd.secret, mode 0600") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	stdout, stderr, code = importing(t, files, "--secrets", "s", "x")
	if code != 0 || strings.Contains(stdout+stderr, "hush") || !strings.Contains(stdout, `/s/192.0.2.1-3306-passwd.secret"`) {
		t.Errorf("with --secrets: exit %d, %s%s", code, stdout, stderr)
	}
	const secret = "s/192.0.2.1-3306-passwd.secret"
	data, err := os.ReadFile(secret)
	info, _ := os.Stat(secret)
	if err != nil || string(data) != "hush hush\n" || info.Mode().Perm() != 0o600 {
		t.Errorf("%q, %v, %v", data, info, err)
	}
	var out, errs bytes.Buffer
	again := func() int {
		return run(&env{stdout: &out, stderr: &errs}, []string{"config", "import", "--secrets", "s", "x"})
	}
	if again() != 0 {
		t.Errorf("a second time: %s", errs.String())
	}
	if err := os.WriteFile(secret, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again() != 1 || !strings.Contains(errs.String(), "is there already, with another content") {
		t.Errorf("over another file: %s", errs.String())
	}
}
