package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/doctor"
)

// TestDoctorText is what a person reads: a cure in one piece, however narrow the
// terminal, and nothing that a terminal would obey.
func TestDoctorText(t *testing.T) {
	cure := "echo 'a line that is much longer than the terminal is wide, and has to be copied'"
	r := &renderer{opts: renderOptions{width: 40}}
	r.examination(examination{
		Machine: "a director by /a.toml, pid 7; Linux 6.1.0",
		Fixed:   []string{"net.ipv4.ip_forward: 0 -> 1"},
		Failed:  []string{"modprobe ip_vs: no"},
		Findings: []doctor.Finding{
			{Check: "forwarding", Severity: doctor.Error, Object: "net.ipv4.ip_forward", Reason: "is 0,\x1b[2J not 1: answers of real servers pass through the director", Cure: cure, Fixable: true},
			{Check: "tunnel-mtu", Severity: doctor.Note, Object: "eth1", Reason: "small", Cure: "one\ntwo"},
		},
		Lasting: []string{"b", "a", "b"},
		Unseen:  []string{"clock: not permitted"},
	}, false)
	want := `This is a director by /a.toml, pid 7; Linux 6.1.0.
fixed    net.ipv4.ip_forward: 0 -> 1
failed   modprobe ip_vs: no

error    forwarding: net.ipv4.ip_forward
         is 0,?[2J not 1: answers of
         real servers pass through the
         director
cure     ` + cure + `

note     tunnel-mtu: eth1
         small
cure     one
cure     two

unseen   clock: not permitted

1 error, 1 note; ` + "`ipvsd doctor --fix` mends 1 of them" + `
What was fixed lasts until the next boot. To keep it:
  a
  b
`
	if got := r.out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestDoctorFile: a file that isn't there is an error only where it was named.
func TestDoctorFile(t *testing.T) {
	var out, errs bytes.Buffer
	missing := filepath.Join(t.TempDir(), "ipvsd.toml")
	code := run(&env{stdout: &out, stderr: &errs}, []string{"doctor", "-c", missing, "--socket", missing + ".sock"})
	if code != 1 || !strings.Contains(errs.String(), missing+": no such file") || out.Len() > 0 {
		t.Errorf("exit %d, %q, %q", code, out.String(), errs.String())
	}
}
