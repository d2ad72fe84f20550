package scenario

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/journal"
	"github.com/ipvsd/ipvsd/test/lab"
)

// told has ipvsd explain something and wants each of the patterns in the answer,
// in this order.
func told(t *testing.T, what, out string, code int, patterns ...string) {
	t.Helper()
	t.Logf("%s:\n%s", what, out)
	if code != 0 {
		t.Errorf("%s: exit %d", what, code)
	}
	rest := out
	for _, p := range patterns {
		at := regexp.MustCompile(p).FindStringIndex(rest)
		if at == nil {
			t.Errorf("%s lacks %q, or not in this place:\n%s", what, p, out)
			return
		}
		rest = rest[at[1]:]
	}
}

// TestExplain lets a real server fall and come back, refuses a file, and kills
// the director: each time ipvsd explain tells why, what the kernel was told, and
// when; at last from the disk alone.
func TestExplain(t *testing.T) {
	f, webs := drFarm(t, 2)
	good := strings.Replace(quick(`scheduler = "rr"`, rs1+"\n  weight = 3", rs2), "interval", "rise = 3\nfall = 2\ninterval", 1)
	f.start(good)
	explain := func(args ...string) (string, int) {
		return f.try(append([]string{"explain", "-c", f.file(), "--socket", f.socket()}, args...)...)
	}

	webs[0].Page(testPage, 200, "broken")
	f.awaitState("web", "192.168.0.101:80", director.StateDown, 15*time.Second)
	out, code := explain("192.168.0.101")
	told(t, "a real server that fell", out, code,
		`At \d\d:\d\d:\d\d \(.*\) the check of 192\.168\.0\.101:80 in web failed 2 times in a row: body lacks "Test Page"`,
		`ms later, at \d\d:\d\d:\d\d\.\d{3}, its weight in the kernel went from 3 to 0\.\n    -e -t 192\.168\.0\.105:80 -r 192\.168\.0\.101:80 -g -w 0\n`,
		`Now, at \d\d:\d\d:\d\d, 192\.168\.0\.101:80 of web is down, since .*with weight 0 of the file's 3`,
		`It needs 3 more good checks, one every 500ms, to be back up: at \d\d:\d\d:\d\d \(.*\) at the soonest\.`)
	out, code = explain("web")
	told(t, "its virtual service", out, code, `192\.168\.0\.101:80 in web failed`, `1 of 2 real servers of web serves\.\n    192\.168\.0\.101:80 is down: body lacks`)

	webs[0].Page(testPage, 200, testBody)
	f.awaitState("web", "192.168.0.101:80", director.StateUp, 15*time.Second)
	out, code = explain("192.168.0.101:80")
	told(t, "a real server that came back", out, code, `failed 2 times in a row`, `succeeded 3 times in a row: `, `went from 0 to 3`,
		`Now, at .* is up`)

	if out, code := f.try("drain", "192.168.0.102", "--reason", "new kernel", "--socket", f.socket()); code != 0 {
		t.Errorf("drain: exit %d\n%s", code, out)
	}
	out, code = explain("192.168.0.102")
	told(t, "a drain", out, code, `192\.168\.0\.102:80 of web is draining: drain by .*: new kernel; weight 1 to 0\.`, `the kernel was told\.\n    -e .* -w 0\n`, "Held back since")

	bad := strings.Replace(good, "scheduler", "sheduler", 1)
	f.write(bad)
	f.proc.Signal(syscall.SIGHUP)
	f.eventually(5*time.Second, "the reload is refused", func(s director.Status) bool { return s.Config.Reloads["refused"] == 1 })
	out, code = explain("reload")
	told(t, "a refused reload", out, code, `the file was read again \(SIGHUP\) and refused: 1 error\.\n    .*ipvsd\.toml:\d+: unknown key "sheduler"; did you mean "scheduler"\?`,
		"Now, at .* the file runs that was loaded at")
	f.reload(strings.Replace(good, "weight = 3", "weight = 5", 1))
	out, code = explain("reload")
	told(t, "a reload", out, code, `taken over: 1 change\.\n    .*weight 3 -> 5`, `the kernel was told\.\n    -e .* -w 5\n`)

	page := f.director.Run("curl", "-sf", "http://127.0.0.1:9117/api/v1/journal?kind=verdict&real=192.168.0.101&limit=1")
	var answer struct{ Entries []journal.Entry }
	if err := json.Unmarshal([]byte(page), &answer); err != nil || len(answer.Entries) != 1 || answer.Entries[0].After != "up" {
		t.Errorf("the journal over HTTP: %v\n%s", err, page)
	}
	if out, code := explain("192.168.0.110"); code != 1 || !strings.Contains(out, `did you mean`) {
		t.Errorf("a stranger: exit %d\n%s", code, out)
	}

	f.proc.Kill()
	out, code = explain("192.168.0.101")
	told(t, "without a director", out, code, "No director is running at .*; this is what its journal in .* tells", "failed 2 times in a row", "succeeded 3 times in a row")

	// A last line that a crash left half does no harm.
	ring, err := os.OpenFile(filepath.Join(f.dir, "state", "journal.jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.WriteString(`{"seq":99999,"ti`); err != nil {
		t.Fatal(err)
	}
	_ = ring.Close()
	f.restart()
	out, code = explain()
	told(t, "after a kill", out, code, `the director ended some time after this, without a word: it was killed`, `ipvsd .* started with`, `the director is ready`)
	out, code = explain("192.168.0.101")
	told(t, "over the kill", out, code, "failed 2 times in a row")
}

// TestExplainFailover kills the active director: the one that took over tells how
// that went, phase by phase.
func TestExplainFailover(t *testing.T) {
	c := newCluster(t, 2)
	c.startAll(witnessed)
	two := c.lbs[1]
	c.lbs[0].proc.Kill()
	c.oneHolder("loadb2")
	var out string
	var code int
	lab.Eventually(t, 10*time.Second, "loadb2 tells the phases", func() bool {
		out, code = tryOn(t, two.host, "explain", "failover", "-c", two.config(), "--socket", two.socket())
		return strings.Contains(out, "first announcement")
	})
	told(t, "a failover", out, code,
		`loadb1, which held group default, was last heard at \d\d:\d\d:\d\d\.\d{3}`,
		`This director decided to take over \d+ ms after that, at \d\d:\d\d:\d\d\.\d{3}: no advert from loadb1`,
		`The addresses were up \d+ ms after that`,
		`The first announcement to the neighbours went out \d+ ms after that, at`,
		`Now, at .*, loadb2 holds group default`)
}
