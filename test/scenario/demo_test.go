package scenario

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestDemo plays the demo as a program whose output nobody watches: it ends with
// 0, in time and readable, and its figures are those of the story.
func TestDemo(t *testing.T) {
	var start time.Time
	var out, log string
	var err error
	// A second time only where the demo itself says that the lab was starved.
	for try := 1; try == 1 || try == 2 && err != nil && strings.Contains(out, "This machine is busy"); try++ {
		cmd := exec.Command(os.Getenv(binaryVar), "demo")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		start = time.Now()
		err = cmd.Run()
		out, log = stdout.String(), stderr.String()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ipvsd demo: %v\n%s%s", err, out, log)
		}
	})
	if code := exitStatus(t, err); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if took := time.Since(start); took > 2*time.Minute {
		t.Errorf("took %v, want less than two minutes", took)
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if n := utf8.RuneCountInString(line); n > 100 {
			t.Errorf("%d columns: %q", n, line)
		}
		if strings.ContainsAny(line, "\x1b\r") {
			t.Errorf("a terminal's sequences: %q", line)
		}
	}
	for _, want := range []string{
		`(?m)^ +[\d.]+ s  web1 is out after \d\.\d s: connection re(fused|set.*)$`,
		`(?m)^ +[\d.]+ s  web2 is out after \d\.\d s: body lacks "Test Page"$`,
		`(?m)^   +192\.168\.0\.101:80 dr +down +0/1 .* connection re(fused|set.*)$`,
		`(?m)^ +[\d.]+ s  web1 is in again after \d\.\d s: status 200`,
		`(?m)^ +[\d.]+ s  web2 is in again after \d\.\d s: status 200`,
		`(?m)^ +loadb\d (has it|is active); the addresses were nobody's for \d+ ms$`,
		`(?m)^ +[\d.]+ s  loadb\d is active: handed over by loadb\d$`,
		`(?m)^ +[\d.]+ s  loadb\d is standby: loadb\d has it$`,
		`(?m)^ +[\d.]+ s  loadb\d is active after \d\.\d s: no advert from loadb\d for `,
		`(?m)^ +[\d.]+ s  the kernel of loadb\d has dropped the address by itself`,
		`(?m)^ +loadb\d 192\.168\.0\.11\d:7946 dead `,
		`(?m)^ +[\d.]+ s  loadb\d is standby after \d+\.\d s: .+$`,
		`(?m)^  longest outage +\d+ ms`,
		`(?m)^  held connection  alive: \d+ lines answered by web3`,
		`(?m)^All went as it should\.$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the output has no %s", want)
		}
	}

	requests := figure(t, out, `(?m)^  requests +(\d+) in `)
	failed := figure(t, out, `(?m)^  failed +(\d+)`)
	if requests < 400 || failed > requests/10 {
		t.Errorf("%d requests, %d failed", requests, failed)
	}
	answered := 0
	for _, name := range []string{"web1", "web2", "web3"} {
		n := figure(t, out, `(?m)^  answered by .*`+name+` (\d+)`)
		if n < requests/10 {
			t.Errorf("%s answered %d of %d requests", name, n, requests)
		}
		answered += n
	}
	if answered+failed != requests {
		t.Errorf("%d requests, %d failed, the web servers answered %d", requests, failed, answered)
	}
	acts := 0
	for _, m := range regexp.MustCompile(`(?m)^ +[\d.]+ s  client: (\d+) requests, `).FindAllStringSubmatch(out, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		acts += n
	}
	if acts != requests {
		t.Errorf("%d requests, and %d in the acts together", requests, acts)
	}
}

// figure is the number that a pattern finds.
func figure(t *testing.T, text, pattern string) int {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("the output has no %s", pattern)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
