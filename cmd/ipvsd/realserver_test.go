package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// realserverRun runs `ipvsd realserver …` on this machine, with files in root.
// Nothing here changes the machine: what would is a dry run or refused.
func realserverRun(root string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	args = append([]string{"realserver"}, args...)
	code = run(&env{stdout: &out, stderr: &errs}, append(args, "--root", root))
	return code, out.String(), errs.String()
}

func TestRealserverCommand(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string // the beginning
		stderr string // a part
	}{
		{"nothing set up", []string{"status"}, 2, "missing: nothing is set up on this node", ""},
		{
			"dry run", []string{"setup", "-n", "--vip", "203.0.113.105"}, 0, "", "",
		},
		{"no vip", []string{"setup", "-n"}, 1, "", "ipvsd: setup: no VIP given; name at least one with --vip\n"},
		{
			"bad vips",
			[]string{"setup", "--vip", "web1", "--vip", "203.0.113.0/24"},
			1, "",
			"ipvsd: vip web1: not an IP address\nvip 203.0.113.0/24: give the address alone",
		},
		{"bad method", []string{"setup", "--vip", "203.0.113.1", "--method", "masq"}, 1, "", "did you mean nat?"},
		{"vip not set up", []string{"status", "--vip", "203.0.113.105"}, 2, "203.0.113.105  dr  not on lo", ""},
		{"an argument", []string{"teardown", "now"}, 1, "", "\"now\" is one argument too many"},
		{"nothing to tear down", []string{"teardown", "-n"}, 0, "nothing to put back", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			code, stdout, stderr := realserverRun(root, c.args...)
			if code != c.code || !strings.HasPrefix(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) ||
				c.stderr == "" && stderr != "" {
				t.Errorf("exit status %d, want %d\nstdout: %s\nstderr: %s", code, c.code, stdout, stderr)
			}
			if c.name == "dry run" && !strings.Contains(stdout, "ip addr add 203.0.113.105/32 dev lo label lo:") {
				t.Errorf("the dry run lacks the address:\n%s", stdout)
			}
			if _, err := os.Stat(filepath.Join(root, "var/lib/ipvsd/realserver.json")); err == nil {
				t.Error("a record was written")
			}
		})
	}
}

func TestRealserverStatusJSON(t *testing.T) {
	code, stdout, _ := realserverRun(t.TempDir(), "status", "--json", "--vip", "203.0.113.105")
	var report struct {
		VIPs []struct {
			Address, Method string
			Servers         []struct{ Protocol, Address string }
		}
		Missing []struct{ What, Why, Cure string }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	if code != 2 || len(report.VIPs) != 1 || report.VIPs[0].Address != "203.0.113.105" || report.VIPs[0].Method != "dr" ||
		report.VIPs[0].Servers == nil || len(report.Missing) == 0 || report.Missing[0].Cure == "" {
		t.Errorf("exit status %d\n%s", code, stdout)
	}
}

func TestRealserverHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"setup"}, {"status"}, {"teardown"}} {
		var out bytes.Buffer
		args = append(append([]string{"realserver"}, args...), "-h")
		if code := run(&env{stdout: &out, stderr: &out}, args); code != 0 || !strings.Contains(out.String(), "Usage:") {
			t.Errorf("%v: exit status %d\n%s", args, code, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if len(line) > 100 {
				t.Errorf("%v: a line of %d columns: %s", args, len(line), line)
			}
		}
	}
}
