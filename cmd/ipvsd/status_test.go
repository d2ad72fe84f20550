package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/api"
)

var updateStatus = flag.Bool("update-status", false, "rewrite testdata/status")

var statusNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return statusNow.Add(-d) }

// real is a real server that was checked 2 s ago.
func real(address, state, reason string, weight, active, inactive uint32) director.RealStatus {
	ok := state == director.StateUp
	return director.RealStatus{
		Address: address, Forward: "dr", State: state, Reason: reason,
		Weight: weight, Configured: 1, InKernel: true, Active: active, Inactive: inactive,
		Since: ago(3 * time.Hour),
		Check: director.CheckStatus{
			Type: "http", Target: address, Good: 100,
			Last: &director.CheckResult{OK: ok, Reason: reason, At: ago(2 * time.Second), Seconds: 0.003},
		},
	}
}

func statusOf(virtuals ...director.VirtualStatus) director.Status {
	return director.Status{
		Version: "1.2.3", PID: 4711, Started: ago(3*time.Hour + 5*time.Minute), Active: true, Ready: true,
		Config:   director.ConfigStatus{File: "/etc/ipvsd/ipvsd.toml", Hash: "abc", Loaded: ago(2 * time.Hour), Reloads: map[string]uint64{"ok": 1}},
		Kernel:   director.KernelStatus{Programmed: true, Synced: ago(time.Second), Drifts: map[string]uint64{}},
		Virtuals: virtuals,
		Addresses: []director.AddressStatus{
			{Address: "192.168.0.105", Interface: "eth0", State: director.AddressAdded, Since: ago(3 * time.Hour), Announced: 5},
		},
	}
}

func web(reals ...director.RealStatus) director.VirtualStatus {
	v := director.VirtualStatus{Name: "web", Service: "192.168.0.105:80/tcp", Scheduler: "wlc", Reals: reals}
	for _, r := range reals {
		v.Up = v.Up || r.State == director.StateUp
		v.Fallback = v.Fallback || r.State == director.StateFallback
	}
	return v
}

const longReason = "Get \"http://192.168.0.102:80/ldirector.html\": net/http: timeout awaiting response headers (Client.Timeout exceeded while awaiting headers)"

// held is a real server that a person holds back and whose check is bad.
func held(address, state, reason string, active uint32) director.RealStatus {
	r := real(address, state, reason, 0, active, 0)
	r.Verdict, r.InKernel = director.StateDown, state == director.StateDraining || state == director.StateMaintenance
	r.Hold = &director.HoldStatus{Since: r.Since}
	return r
}

// states are the cases that testdata/status shows, and their exit status.
func states() map[string]struct {
	status director.Status
	code   int
} {
	type state = struct {
		status director.Status
		code   int
	}
	up1 := real("192.168.0.101:80", director.StateUp, "status 200", 1, 12, 40)
	up2 := real("192.168.0.102:80", director.StateUp, "status 200", 1, 11, 38)
	down2 := real("192.168.0.102:80", director.StateDown, "connection refused", 0, 0, 3)
	down2.Since = ago(12 * time.Second)
	down1 := real("192.168.0.101:80", director.StateDown, longReason, 0, 0, 0)
	down1.InKernel = false
	out := map[string]state{
		"all-up":      {statusOf(web(up1, up2)), 0},
		"one-down":    {statusOf(web(up1, down2)), 2},
		"long-reason": {statusOf(web(down1, up2)), 2},
	}

	local := real("127.0.0.1:80", director.StateFallback, "no real server is up", 1, 4, 9)
	local.Since, local.Check = time.Time{}, director.CheckStatus{}
	out["fallback"] = state{statusOf(web(down1, down2, local)), 2}

	start := statusOf(web(
		director.RealStatus{Address: "192.168.0.101:80", Forward: "dr", State: director.StateUnknown, Configured: 1},
		director.RealStatus{Address: "192.168.0.102:80", Forward: "dr", State: director.StateUnknown, Configured: 1, Weight: 1, InKernel: true, Active: 7},
	))
	start.Ready, start.Kernel = false, director.KernelStatus{}
	start.Addresses = nil
	out["start"] = state{start, 2}

	tls := func(address string, left time.Duration) director.RealStatus {
		r, until := real(address, director.StateUp, "status 200", 1, 1, 0), ago(-left)
		r.Check.Type, r.Check.CertUntil = "https", &until
		return r
	}
	late := tls("192.168.0.104:443", -3*24*time.Hour)
	late.State, late.Reason = director.StateDown, "certificate has expired or is not yet valid"
	out["certificates"] = state{statusOf(web(
		tls("192.168.0.101:443", 63*24*time.Hour), tls("192.168.0.102:443", 13*24*time.Hour), tls("192.168.0.103:443", 30*time.Hour), late,
	)), 2}

	v6 := web(
		real("[2001:db8:1234:5678:9abc:def0:1234:5678]:65535", director.StateUp, "status 200", 100, 100000, 4000000),
		real("[fd00::102]:80", director.StateUp, "status 200", 1, 0, 0),
	)
	v6.Name, v6.Service = "web6", "[fd00::105]:80/tcp"
	mark := web(real("192.168.0.101:0", director.StateUp, "echo reply", 1, 0, 0))
	mark.Name, mark.Service, mark.Scheduler = "fwmark 1", "fwmark 1/ipv4", "rr"
	out["ipv6-and-fwmark"] = state{statusOf(v6, mark), 0}

	off := real("192.168.0.103:80", director.StateUnchecked, "", 1, 3, 3)
	off.Since, off.Check = time.Time{}, director.CheckStatus{Type: "off"}
	leaving := real("192.168.0.104:80", director.StateLeaving, "left the file, finishes its connections", 0, 2, 1)
	leaving.Since, leaving.Check, leaving.Configured = time.Time{}, director.CheckStatus{}, 0
	out["unchecked-and-leaving"] = state{statusOf(web(off, leaving)), 0}

	out["held-back"] = state{statusOf(web(up1, held("192.168.0.102:80", director.StateDraining, "drain by root on loadb1: kernel update; 3 connections left, out at 12:30:00 at the latest", 3)),
		web(up1, held("192.168.0.102:80", director.StateDrained, "drain by root on loadb1; its connections have ended", 0),
			held("192.168.0.103:80", director.StateDisabled, "disable by root on loadb2", 0),
			held("192.168.0.104:80", director.StateMaintenance, "there is a file /etc/ipvsd/maintenance/192.168.0.104", 0))), 0}

	backup, damped := up2, real("192.168.0.103:80", director.StateUp, "status 200", 0, 1, 0)
	backup.Weight, backup.Tier, backup.WeightReason = 0, 2, "backup: 1 of the tiers before are up"
	damped.Damped, damped.WeightReason = true, "flapping: more than 5 falls within 10m0s, out until it is calm for 10m0s (3m20s left)"
	kept := real("192.168.0.101:80", director.StateDown, "timeout after 5s waiting for the answer", 1, 100, 3)
	kept.WeightReason = "kept in by fail_open"
	few, open := web(up1, real("127.0.0.1:80", director.StateFallback, "1 of the 2 real servers that min_up asks for are up", 1, 0, 0)), web(up1, kept)
	open.FailOpen = "fail_open: 3 of 4 real servers fail and are kept in, 9m0s more at most"
	out["pool"] = state{statusOf(web(up1, backup, damped), few, open), 2}

	commented, plain := web(up1), web(up1)
	commented.Comment = "the shop"
	plain.Name = "plain"
	out["comment"] = state{statusOf(commented, plain), 0}

	hurt := statusOf(web(up1, up2))
	hurt.Active = false
	hurt.Config.Error = "/etc/ipvsd/ipvsd.toml:12: virtual \"web\": unknown key \"sheduler\"; did you mean \"scheduler\"?\n/etc/ipvsd/ipvsd.toml:31: weight: -1 is below 0"
	hurt.Kernel = director.KernelStatus{
		Programmed: true, Synced: ago(90 * time.Second), Foreign: 1,
		Error:  "-a -t 192.168.0.105:80 -r 192.168.0.102:80 -g -w 1: no such file or directory",
		Drifts: map[string]uint64{"service_missing": 2, "real_changed": 10, "real_missing": 0},
	}
	hurt.Addresses = append(hurt.Addresses,
		director.AddressStatus{Address: "192.168.0.106", Interface: "eth0", State: director.AddressOwn},
		director.AddressStatus{Address: "10.9.9.9", State: director.AddressMissing, Error: "no interface has a subnet for it; name one with [[vip]] interface"},
	)
	out["not-well"] = state{hurt, 2}

	blind := statusOf(web(up1, down2))
	blind.Kernel.ReadError = "read the table: operation not permitted"
	for i := range blind.Virtuals[0].Reals {
		r := &blind.Virtuals[0].Reals[i]
		r.InKernel, r.Weight, r.Active, r.Inactive = false, 0, 0, 0
	}
	out["kernel-not-read"] = state{blind, 2}

	evil := statusOf(web(real("192.168.0.101:80", director.StateUp, "body \x1b[2J\x1b]0;owned\x07 has\nlines \u202e", 1, 0, 0)))
	out["terminal-sequences"] = state{evil, 0}

	out["empty"] = state{func() director.Status { st := statusOf(); st.Addresses = nil; return st }(), 0}

	var many []director.VirtualStatus
	for i := range 200 {
		address := fmt.Sprintf("10.1.%d.%d:8080", i/100, i%100)
		r := real(address, director.StateUp, "connected", 1, uint32(i*i*7), uint32(i))
		if i%5 == 0 {
			r = real(address, director.StateDown, "no route to host", 0, 0, 0)
		}
		v := web(r, real("10.1.9.9:8080", director.StateUp, "connected", 1, 1, 1))
		v.Name, v.Service = fmt.Sprintf("service-%03d", i), fmt.Sprintf("192.168.%d.%d:443/tcp", i/100, i%100)
		many = append(many, v)
	}
	out["many"] = state{statusOf(many...), 2}
	for name, c := range clusterStates() {
		out[name] = c
	}
	return out
}

func TestRenderStatus(t *testing.T) {
	for name, state := range states() {
		for _, variant := range []struct {
			name string
			opts renderOptions
		}{
			{"80", renderOptions{now: statusNow, width: 80}},
			{"full", renderOptions{now: statusNow}},
			{"color", renderOptions{now: statusNow, width: 80, color: true}},
		} {
			if variant.name == "color" && name != "one-down" || variant.name == "full" && name != "long-reason" && name != "not-well" && name != "certificates" {
				continue
			}
			t.Run(name+"/"+variant.name, func(t *testing.T) {
				var got bytes.Buffer
				if err := renderStatus(&got, state.status, variant.opts); err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("testdata", "status", name+"."+variant.name+".txt"), got.String())
				if variant.name == "80" && name != "ipv6-and-fwmark" {
					for line := range strings.Lines(got.String()) {
						if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
							t.Errorf("%d columns: %s", n, line)
						}
					}
				}
			})
		}
	}
}

// The demo shows the table alone.
func TestRenderTable(t *testing.T) {
	st := states()["one-down"].status
	opts := renderOptions{now: statusNow, width: 80}
	var table, all bytes.Buffer
	if err := renderTable(&table, st, opts); err != nil {
		t.Fatal(err)
	}
	if err := renderStatus(&all, st, opts); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(table.String(), "VIRTUAL ") || !strings.Contains(all.String(), table.String()) {
		t.Errorf("the table isn't the one of the status:\n%s", &table)
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *updateStatus {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update-status rewrites):\n%s", file, diff)
	}
}

func TestStatusExit(t *testing.T) {
	for name, state := range states() {
		var out bytes.Buffer
		e := &env{stdout: &out}
		ask := func(context.Context) (director.Status, error) { return state.status, nil }
		code := 0
		if err := e.status(t.Context(), ask, false, arrangement{}); err != nil {
			exit, ok := errors.AsType[*exitError](err)
			if !ok || exit.msg != "" {
				t.Fatalf("%s: %v", name, err)
			}
			code = exit.code
		}
		if code != state.code {
			t.Errorf("%s: exit status %d, want %d; problems %q", name, code, state.code, problems(&state.status))
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s: colour, but no terminal", name)
		}
	}
}

func TestStatusJSON(t *testing.T) {
	st := states()["long-reason"].status
	var out bytes.Buffer
	e := &env{stdout: &out}
	err := e.status(t.Context(), func(context.Context) (director.Status, error) { return st, nil }, true, arrangement{})
	if exit, ok := errors.AsType[*exitError](err); !ok || exit.code != 2 {
		t.Errorf("error %v", err)
	}
	var got director.Status
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(st, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if got.Virtuals[0].Reals[0].Reason != longReason {
		t.Error("the reason isn't there in full")
	}
}

func TestStatusWithoutDaemon(t *testing.T) {
	var stdout, stderr bytes.Buffer
	socket := t.TempDir() + "/ipvsd.sock"
	code := run(&env{stdout: &stdout, stderr: &stderr}, []string{"status", "--socket", socket})
	want := fmt.Sprintf("ipvsd: no director is running (there is no %s); start it with `systemctl start ipvsd` or `ipvsd director`\n", socket)
	if code != 1 || stderr.String() != want || stdout.Len() > 0 {
		t.Errorf("exit status %d, %q, %q; want 1, %q", code, stdout.String(), stderr.String(), want)
	}
	if err := (&env{}).watchStatus(t.Context(), api.NewClient(socket).Status, false, arrangement{}); !errors.Is(err, api.ErrNoDaemon) {
		t.Errorf("watch: %v", err)
	}
}

// still is a director that always stands alike.
type still struct{ status director.Status }

func (s still) Status(context.Context) director.Status { return s.status }
func (s still) Loads(context.Context) director.Loads   { return director.LoadsOf(&s.status) }
func (s still) Ready() bool                            { return true }
func (s still) Active() bool                           { return true }
func (s still) Hung(context.Context) []string          { return nil }

// From the command line through the control socket and back.
func TestStatusCommand(t *testing.T) {
	socket := t.TempDir() + "/ipvsd.sock"
	log := slog.New(slog.DiscardHandler)
	server, err := api.Listen(still{states()["one-down"].status}, api.NewMetrics("1.2.3"), api.Options{Log: log, Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	for _, args := range [][]string{{"status", "--socket", socket}, {"status", "--json", "--socket", socket}} {
		var stdout, stderr bytes.Buffer
		code := run(&env{stdout: &stdout, stderr: &stderr}, args)
		if code != 2 || stderr.Len() > 0 || !strings.Contains(stdout.String(), "connection refused") {
			t.Errorf("%q: exit status %d, %q, %q", args, code, stdout.String(), stderr.String())
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAge(t *testing.T) {
	r := &renderer{opts: renderOptions{now: statusNow}}
	for d, want := range map[time.Duration]string{
		-time.Minute: "0s", 0: "0s", 1999 * time.Millisecond: "1s", 99 * time.Second: "99s", 100 * time.Second: "1m",
		99 * time.Minute: "99m", 100 * time.Minute: "1h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 1000 * 24 * time.Hour: "1000d",
	} {
		if got := r.age(ago(d)); got != want {
			t.Errorf("age of %v is %s, want %s", d, got, want)
		}
	}
	if got := r.age(time.Time{}); got != "-" {
		t.Errorf("age of nothing is %s", got)
	}
}

func BenchmarkRenderStatus(b *testing.B) {
	var virtuals []director.VirtualStatus
	for range 1000 {
		var reals []director.RealStatus
		for i := range 10 {
			reals = append(reals, real(fmt.Sprintf("10.0.0.%d:80", i), director.StateUp, "status 200", 1, 5, 6))
		}
		virtuals = append(virtuals, web(reals...))
	}
	st := statusOf(virtuals...)
	b.ReportAllocs()
	for b.Loop() {
		var out bytes.Buffer
		if err := renderStatus(&out, st, renderOptions{now: statusNow, width: 80, color: true}); err != nil {
			b.Fatal(err)
		}
	}
}
