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
	start := time.Now()
	cmd := exec.Command(os.Getenv(binaryVar), "demo")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	out := stdout.String()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ipvsd demo: %v\n%s%s", err, out, stderr.String())
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
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
		if strings.ContainsAny(line, "\x1b\r") {
			t.Errorf("a terminal's sequences: %q", line)
		}
	}
	for _, want := range []string{
		`(?m)^ +web1 is out after \d\.\d s: connection refused$`,
		`(?m)^ +web2 is out after \d\.\d s: body lacks "Test Page"$`,
		`(?m)^ +web1 is in again after \d\.\d s: status 200`,
		`(?m)^ +web2 is in again after \d\.\d s: status 200`,
		`(?m)^  director: started again +ready after \d\.\d s `,
		`(?m)^  192\.168\.0\.101:80 dr +down +0/1 .* connection refused$`,
		`(?m)^  longest outage +\d+ ms`,
		`(?m)^All went as it should\.$`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the output has no %s", want)
		}
	}

	requests := figure(t, out, `(?m)^  requests +(\d+) in `)
	failed := figure(t, out, `(?m)^  failed +(\d+)`)
	if requests < 500 || failed > requests/10 {
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
	if n := figure(t, out, `(?m)^  answered by .*fallback (\d+)`); n != 0 || answered+failed != requests {
		t.Errorf("%d requests, %d failed, the web servers answered %d, the fallback %d", requests, failed, answered, n)
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
