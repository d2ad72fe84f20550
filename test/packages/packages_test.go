package packages

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const (
	root    = "../.."
	version = "0.0.1+git.20060102150405.abcdef0"
)

// build runs deploy/package as `make package` does. The shell's mask, the time
// zone and the language are the caller's; the package must not depend on them.
func build(t *testing.T, mask string, env []string, archs ...string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	args := append([]string{"-c", "umask " + mask + `; exec "$@"`, "sh", root + "/deploy/package", folder}, archs...)
	cmd := exec.Command("sh", args...)
	cmd.Env = append(append(os.Environ(), "GO=go", "VERSION="+version, "LDFLAGS=-s -w -X main.version="+version), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("deploy/package: %v\n%s", err, out)
	}
	if said := strings.Count(string(out), "\n["); said+1 != 3+2*len(archs) {
		t.Errorf("deploy/package doesn't tell its %d steps:\n%s", 3+2*len(archs), out)
	}
	return folder
}

func deb(folder, arch string) string {
	return filepath.Join(folder, "ipvsd_"+version+"-1_"+arch+".deb")
}

func run(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

func TestPackages(t *testing.T) {
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	folder := build(t, "022", nil, "amd64", "arm64")
	run(t, "lintian", "--fail-on", "error,warning", deb(folder, "amd64"), deb(folder, "arm64"))
	for arch, want := range machines {
		disk := t.TempDir()
		run(t, "dpkg-deb", "-x", deb(folder, arch), disk)
		f, err := elf.Open(filepath.Join(disk, "usr/bin/ipvsd"))
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != want || slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Errorf("%s: the binary is for %v, or needs a loader", arch, f.Machine)
		}
		_ = f.Close()
		if arch == runtime.GOARCH {
			contents(t, disk)
		}
	}

	again := build(t, "077", []string{"TZ=Asia/Kathmandu", "LC_ALL=C.UTF-8"}, "amd64")
	one, err := os.ReadFile(deb(folder, "amd64"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(deb(again, "amd64"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, other) {
		a, b := t.TempDir(), t.TempDir()
		run(t, "dpkg-deb", "-R", deb(folder, "amd64"), a)
		run(t, "dpkg-deb", "-R", deb(again, "amd64"), b)
		what, _ := exec.Command("diff", "-rq", a, b).CombinedOutput() // 1 where they differ
		t.Errorf("the same commit gave two different packages:\n%s", what)
	}
}

// contents looks at an unpacked package of this machine's architecture.
func contents(t *testing.T, disk string) {
	t.Helper()
	binary := filepath.Join(disk, "usr/bin/ipvsd")
	if got := run(t, binary, "version"); !strings.Contains(got, version) {
		t.Errorf("ipvsd version: %s", got)
	}
	examples, err := filepath.Glob(filepath.Join(disk, "usr/share/doc/ipvsd/examples/*.toml"))
	if err != nil || len(examples) == 0 {
		t.Errorf("examples: %q, %v", examples, err)
	}
	for _, e := range examples {
		run(t, binary, "config", "check", "-c", e)
	}
	for _, page := range []string{"man5/ipvsd.toml.5", "man8/ipvsd.8", "man8/ipvsd-realserver.8"} {
		if text := run(t, "zcat", filepath.Join(disk, "usr/share/man", page+".gz")); !strings.Contains(text, ".SH NAME") {
			t.Errorf("%s is no man page", page)
		}
	}
	for file, begin := range map[string]string{
		"bash-completion/completions/ipvsd":      "# bash completion V2 for ipvsd",
		"zsh/vendor-completions/_ipvsd":          "#compdef ipvsd",
		"fish/vendor_completions.d/ipvsd.fish":   "# fish completion for ipvsd",
		"doc/ipvsd/copyright":                    "Format: ",
		"../../lib/systemd/system/ipvsd.service": "[Unit]",
	} {
		text, err := os.ReadFile(filepath.Join(disk, "usr/share", file))
		if err != nil || !strings.HasPrefix(string(text), begin) {
			t.Errorf("%s doesn't begin with %q: %v", file, begin, err)
		}
	}
	run(t, "bash", "-n", filepath.Join(disk, "usr/share/bash-completion/completions/ipvsd"))
	licences := run(t, "zcat", filepath.Join(disk, "usr/share/doc/ipvsd/licenses.gz"))
	modules := run(t, "go", "version", "-m", binary)
	for line := range strings.Lines(modules) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "dep" && !strings.Contains(licences, "=== "+f[1]+" "+f[2]+"\n") {
			t.Errorf("licenses.gz lacks %s %s", f[1], f[2])
		}
	}
	if _, err := os.Stat(filepath.Join(disk, "etc/ipvsd/ipvsd.toml")); err == nil {
		t.Error("the package brings an ipvsd.toml, which would start")
	}
}

// TestConfined: systemd's own measure of what a unit may do, from 0 to 10; 30
// stands for 3.0.
func TestConfined(t *testing.T) {
	run(t, "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=30", root+"/deploy/ipvsd.service")
}
