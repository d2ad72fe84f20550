package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/journal"
)

// past is a journal in which everything happened once.
func past() []journal.Entry {
	ms := time.Millisecond
	list := []journal.Entry{
		{Time: ago(26 * time.Hour), Kind: journal.Daemon, After: journal.Started, Text: "ipvsd 1.0 started with /etc/ipvsd/ipvsd.toml and 2 virtual services."},
		{
			Time: ago(26*time.Hour - 2*time.Second), Kind: journal.Verdict, Virtual: "web", Real: "192.168.0.101:80", Before: "unknown", After: "up",
			Weight: &journal.Change{Before: 0, After: 3}, Cause: "status 200", Checks: 1, Text: "192.168.0.101:80 of web is up: status 200; weight 0 to 3.",
			Steps: []string{"-e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 3"}, Took: 2300 * time.Microsecond,
		},
		{
			Time: ago(2 * time.Hour), Kind: journal.Reload, Before: "11", After: journal.Loaded, Cause: "SIGHUP",
			Text:    "the file /etc/ipvsd/ipvsd.toml was read again (SIGHUP); it changes 2 things, the first: virtual mail added; 2 steps in the kernel.",
			Details: []string{"virtual mail added", "virtual web: scheduler wlc -> rr"},
			Steps:   []string{"-A -t 192.168.0.105:25 -s wlc", "-E -t 192.168.0.105:80 -s rr"}, Took: 12 * ms,
		},
		{
			Time: ago(time.Hour), Kind: journal.Reload, After: journal.Refused, Cause: "the file changed",
			Text:    `the file was read again (the file changed) and refused for an error (ipvsd.toml:12: unknown key "wieght"; did you mean "weight"?); the running one stays.`,
			Details: []string{`ipvsd.toml:12: unknown key "wieght"; did you mean "weight"?`},
		},
		{
			Time: ago(30 * time.Minute), Kind: journal.Operator, Virtual: "web", Real: "192.168.0.102:80", After: "draining",
			Weight: &journal.Change{Before: 1, After: 0}, Cause: "drain by alice on lb2: new kernel",
			Text:  "192.168.0.102:80 of web is draining: drain by alice on lb2: new kernel; weight 1 to 0.",
			Steps: []string{"-e -t 192.168.0.105:80 -r 192.168.0.102:80 -g -w 0"}, Took: 900 * time.Microsecond,
		},
		{Time: ago(10*time.Minute - 400*ms), Kind: journal.Member, Before: "alive", After: "silent", Text: "director lb1 is silent: no advert from it comes."},
		{
			Time: ago(10*time.Minute - 541*ms), Kind: journal.Role, Group: "default", Before: "standby", After: "active",
			Cause: "no advert from lb1 for 540 ms, and its address doesn't answer",
			Text:  "lb2 is active for group default, after standby: no advert from lb1 for 540 ms, and its address doesn't answer.",
		},
		{
			Time: ago(10*time.Minute - 541*ms), Kind: journal.Failover, Group: "default", Before: "lb1", Took: 3 * ms,
			Cause:  "no advert from lb1 for 540 ms, and its address doesn't answer",
			Text:   "the addresses of group default are up here, 553 ms after lb1 was last heard: no advert from lb1 for 540 ms, and its address doesn't answer.",
			Phases: &journal.Phases{From: "lb1", LastHeard: ago(10 * time.Minute), Suspected: .301, Decided: .541, AddressUp: .552, Announced: .553},
		},
		{Time: ago(10*time.Minute - 552*ms), Kind: journal.Address, Before: "elsewhere", After: "added", Text: "the address 192.168.0.105/32 is on eth0, by us."},
		{Time: ago(10*time.Minute - 3*time.Second), Kind: journal.Member, Before: "silent", After: "dead", Text: "director lb1 is dead: it fell silent and answers nothing."},
		{
			Time: ago(2 * time.Minute), Kind: journal.Verdict, Virtual: "web", Real: "192.168.0.101:80", Before: "up", After: "down",
			Weight: &journal.Change{Before: 3, After: 0}, Cause: "connection refused", Checks: 3, Text: "192.168.0.101:80 of web is down: connection refused, in 3 checks in a row; weight 3 to 0.",
			Steps: []string{"-e -t 192.168.0.105:80 -r 192.168.0.101:80 -g -w 0"}, Took: 3200 * time.Microsecond,
		},
		{
			Time: ago(2*time.Minute - 4*ms), Kind: journal.Virtual, Virtual: "web", Before: "up", After: "fallback", Cause: "no real server is up",
			Text:  "web is served by its fallback 127.0.0.1:80: no real server is up.",
			Steps: []string{"-a -t 192.168.0.105:80 -r 127.0.0.1:80 -g -w 1"}, Took: 100 * time.Microsecond,
		},
		{
			Time: ago(90 * time.Second), Kind: journal.Drift, Virtual: "mail", Before: "scheduler wlc with 1 real server", After: "missing", Cause: "service_missing",
			Text:  "somebody else changed mail in the kernel: scheduler wlc with 1 real server became missing; it was put right.",
			Steps: []string{"-A -t 192.168.0.105:25 -s wlc"}, More: 1, Took: 2 * ms,
		},
	}
	for i := range list {
		list[i].Seq = uint64(i + 1)
	}
	return list
}

// present is how it stands after that past.
func present() *director.Status {
	until, deadline := ago(-12*time.Second), ago(-20*time.Minute)
	check := func(ok bool, reason string, streak int) director.CheckStatus {
		return director.CheckStatus{Type: "http", Streak: streak, Rise: 3, Fall: 3, Interval: 10, Last: &director.CheckResult{OK: ok, Reason: reason, At: ago(4 * time.Second)}}
	}
	return &director.Status{
		Config: director.ConfigStatus{File: "/etc/ipvsd/ipvsd.toml", Hash: "0123456789abcdef", Loaded: ago(2 * time.Hour), Error: "ipvsd.toml:12: …"},
		Virtuals: []director.VirtualStatus{
			{Name: "web", Service: "192.168.0.105:80/tcp", Fallback: true, Reals: []director.RealStatus{
				{Address: "192.168.0.101:80", State: "down", Verdict: "down", Configured: 3, InKernel: true, Active: 2, Since: ago(2 * time.Minute), Reason: "connection refused", Check: check(true, "status 200", 1)},
				{
					Address: "192.168.0.102:80", State: "draining", Verdict: "up", Configured: 1, InKernel: true, Active: 1, Since: ago(30 * time.Minute),
					Reason: "drain by alice on lb2: new kernel; 1 connection left, out at 12:20:00 at the latest", Check: check(true, "status 200", 200),
					Hold: &director.HoldStatus{Wish: "drain", Deadline: &deadline},
				},
				{Address: "127.0.0.1:80", State: "fallback", InKernel: true, Weight: 1, Configured: 1, Reason: "no real server is up"},
			}},
			{Name: "mail", Service: "192.168.0.105:25/tcp", Up: true, Reals: []director.RealStatus{
				{
					Address: "192.168.0.101:25", State: "up", Verdict: "up", Weight: 20, Configured: 100, InKernel: true, Since: ago(8 * time.Second),
					WeightReason: "slow start: 4s of 20s, of weight 100", WeightUntil: &until, Check: check(false, "status 503", -1),
				},
				{Address: "192.168.0.103:25", State: "disabled", Verdict: "up", Configured: 1, Since: ago(72 * time.Hour), Reason: "disable by bob on lb1", Hold: &director.HoldStatus{Wish: "disable"}},
			}},
		},
		Cluster: &director.ClusterStatus{
			Name: "lb2",
			Groups: []director.ClusterGroupStatus{{
				Name: "default", State: "active", Holder: "lb2", Term: 7, Since: ago(10 * time.Minute), Addresses: []string{"192.168.0.105/32"},
				Reason: "no advert from lb1 for 540 ms, and its address doesn't answer",
			}},
			Members: []director.MemberStatus{
				{Name: "lb1", State: "dead", Since: ago(10 * time.Minute), Error: "connection refused"},
				{Name: "lb2", State: "alive", Self: true},
			},
		},
	}
}

// endings are what each sentence has: a time and a full stop.
var (
	namesTime = regexp.MustCompile(`\d\d:\d\d:\d\d`)
	oneStop   = regexp.MustCompile(`[^.]\.$`)
)

func TestExplain(t *testing.T) {
	alone := func(s *explainer) { s.status, s.dir, s.skipped = nil, "/var/lib/ipvsd", 1 }
	for _, tt := range []struct {
		name, about string
		change      func(*explainer)
	}{
		{"everything", "", nil},
		{"everything-within-a-minute", "", func(s *explainer) { s.since = time.Minute }},
		{"everything-from-disk", "", alone},
		{"nothing-yet", "", func(s *explainer) { s.entries = nil }},
		{"real-down", "192.168.0.101:80", nil},
		{"real-down-from-disk", "192.168.0.101", alone},
		{"machine", "192.168.0.101", nil},
		{"host-name", "web1", nil},
		{"real-draining", "192.168.0.102", nil},
		{"real-disabled", "192.168.0.103", nil},
		{"real-within-an-hour", "192.168.0.101:80", func(s *explainer) { s.since = time.Hour }},
		{"real-that-left", "192.168.0.101:80", func(s *explainer) { s.status.Virtuals = s.status.Virtuals[1:] }},
		{"kernel-not-read", "192.168.0.101:80", func(s *explainer) { s.status.Kernel.ReadError = "operation not permitted" }},
		{"virtual", "web", nil},
		{"virtual-by-address", "192.168.0.105:25", nil},
		{"failover", "failover", nil},
		{"failover-from-disk", "failover", alone},
		{"failover-never", "failover", func(s *explainer) { s.entries = s.entries[:2] }},
		{"reload-refused", "reload", nil},
		{"reload-taken", "reload", func(s *explainer) { s.entries = s.entries[:3]; s.status.Config.Error = "" }},
		{"reload-never", "reload", func(s *explainer) { s.entries = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &explainer{now: statusNow, about: tt.about, entries: past(), status: present()}
			s.lookup = func(host string) []string { return map[string][]string{"web1": {"192.168.0.101"}}[host] }
			if tt.change != nil {
				tt.change(s)
			}
			if err := s.tell(); err != nil {
				t.Fatal(err)
			}
			for _, one := range s.out {
				if !namesTime.MatchString(one.Text) || !oneStop.MatchString(one.Text) {
					t.Errorf("names no time, or has no full stop: %q", one.Text)
				}
			}
			var got bytes.Buffer
			if err := s.write(&got); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "explain", tt.name+".txt")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s (-want +got; -update rewrites):\n%s", file, diff)
			}
			got.Reset()
			var answer struct {
				Sentences []sentence
				Entries   []journal.Entry
			}
			if err := s.writeJSON(&got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(got.Bytes(), &answer); err != nil || len(answer.Sentences) != len(s.out) || answer.Entries == nil {
				t.Errorf("as JSON: %v\n%s", err, got.String())
			}
		})
	}
}

func TestExplainStrangers(t *testing.T) {
	for about, want := range map[string]string{
		"192.168.0.110": `nothing is known of "192.168.0.110"; did you mean "192.168.0.101:80"? Else there are web, mail, 192.168.0.101:80`,
		"wep":           `did you mean "web"?`,
		"fail-over":     `did you mean "failover"?`,
		"zzzzzzzz":      `nothing is known of "zzzzzzzz"; there are web, mail`,
	} {
		s := &explainer{now: statusNow, about: about, entries: past(), status: present()}
		if err := s.tell(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", about, err, want)
		}
	}
	s := &explainer{now: statusNow, about: "failover", entries: past(), status: &director.Status{}}
	s.entries = s.entries[:1]
	if err := s.tell(); err == nil || !strings.Contains(err.Error(), "alone") {
		t.Errorf("failover of a single director: %v", err)
	}
}

// FuzzExplain explains entries with any texts: each sentence names a time and
// has its full stop, and no text brings a second line or a terminal's sequence.
func FuzzExplain(f *testing.F) {
	f.Add("verdict", "connection refused", "192.168.0.101:80 of web is down.", "up", "down", int64(5e6))
	f.Add("failover", "…\n", "\x1b[2J.", "", "active", int64(-1))
	f.Add("reload", "", "", "", "refused", int64(1)<<62)
	f.Fuzz(func(t *testing.T, kind, cause, text, before, after string, took int64) {
		e := journal.Entry{
			Seq: 1, Time: ago(time.Minute), Kind: journal.Kind(kind), Virtual: "web", Real: "192.168.0.101:80", Group: "default", Cause: cause, Text: text,
			Before: before, After: after, Steps: []string{text}, Details: []string{cause}, Took: time.Duration(took), Weight: &journal.Change{Before: took, After: -1},
			Phases: &journal.Phases{From: before, LastHeard: ago(time.Minute), Suspected: float64(took), Decided: 1},
		}
		for _, about := range []string{"", "192.168.0.101", "web", "failover", "reload"} {
			for _, status := range []*director.Status{nil, present()} {
				s := &explainer{now: statusNow, about: about, entries: []journal.Entry{e}, status: status, dir: "/var/lib/ipvsd"}
				if err := s.tell(); err != nil {
					t.Fatal(err)
				}
				var out bytes.Buffer
				if err := s.write(&out); err != nil {
					t.Fatal(err)
				}
				lines := 0
				for _, one := range s.out {
					lines += 1 + len(one.Lines)
					if !namesTime.MatchString(one.Text) || !oneStop.MatchString(one.Text) {
						t.Errorf("%q", one.Text)
					}
				}
				if got := strings.Count(out.String(), "\n"); got != lines || strings.ContainsRune(out.String(), '\x1b') {
					t.Errorf("%s: %d lines, want %d:\n%s", about, got, lines, fmt.Sprintf("%q", out.String()))
				}
			}
		}
	})
}
