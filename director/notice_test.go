package director_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/kerneltest"
)

// toldConfig is webConfig with a program for every event, which writes down its
// environment, and with mail that no server takes.
func toldConfig(t *testing.T, file string) *config.Config {
	t.Helper()
	script := filepath.Join(t.TempDir(), "hook")
	body := "#!/bin/sh\n(env | grep ^IPVSD_ | sort | tr '\\n' ';'; echo) >>" + file + "\n"
	if err := os.WriteFile(script, []byte(body), 0o755); err != nil {
		t.Fatal(err)
	}
	cfg := webConfig(true)
	cfg.File, cfg.Hash = "/etc/ipvsd/ipvsd.toml", "h1"
	cfg.Hooks = config.Hooks{Reload: script, Pace: config.Pace{Timeout: 10 * time.Second}}
	cfg.Email = config.Email{SMTP: "127.0.0.1:1", Only: []config.Phase{config.Starting, config.Running}}
	v := &cfg.Virtuals[0]
	v.Comment, v.Email = "the shop", []string{"ops@example.org"}
	v.Hooks = config.VirtualHooks{RealUp: script, RealDown: script, VirtualUp: script, VirtualDown: script}
	return cfg
}

// told returns what the program wrote down since the last time: the events with
// some of their environment.
func told(t *testing.T, file string, keys ...string) []string {
	t.Helper()
	synctest.Wait()
	b, _ := os.ReadFile(file)
	_ = os.Remove(file)
	var out []string
	for line := range strings.Lines(string(b)) {
		env := map[string]string{}
		for e := range strings.SplitSeq(line, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(e), "=")
			env[strings.TrimPrefix(key, "IPVSD_")] = value
		}
		text := env["EVENT"]
		for _, key := range keys {
			text += " " + key + "=" + env[key]
		}
		out = append(out, text)
	}
	return out
}

func TestNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "told")
		cfg := toldConfig(t, file)
		b := runBench(t, kerneltest.New(), cfg)
		want := func(what string, keys []string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, told(t, file, keys...)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		b.checks.say(pair(web1), checker.Up, "status 200")
		want("who is up at the start is no news", nil)
		b.checks.say(pair(web2), checker.Down, "connection refused")
		want("who is down is", []string{"PREVIOUS", "STATE", "PHASE", "REASON", "VIRTUAL", "VIRTUAL_ADDRESS", "PROTOCOL", "REAL", "UP", "ALL", "COMMENT", "ACTIVE"},
			"real_down PREVIOUS=up STATE=down PHASE=starting REASON=connection refused VIRTUAL=web VIRTUAL_ADDRESS=192.168.0.105:80 PROTOCOL=tcp "+
				"REAL=192.168.0.102:80 UP=1 ALL=2 COMMENT=the shop ACTIVE=yes")
		b.checks.say(pair(web2), checker.Down, "another reason")
		want("the same verdict", nil)
		b.checks.say(pair(web1), checker.Down, "status 500")
		want("the last one falls", []string{"REASON", "PHASE", "REAL", "FALLBACK"},
			"real_down REASON=status 500 PHASE=running REAL=192.168.0.101:80 FALLBACK=127.0.0.1:80",
			"virtual_down REASON=no real server is up PHASE=running REAL= FALLBACK=127.0.0.1:80")
		b.checks.say(pair(web1), checker.Up, "status 200")
		want("one is back", []string{"STATE", "FALLBACK"}, "real_up STATE=up FALLBACK=", "virtual_up STATE=up FALLBACK=")

		more := *cfg
		more.Hash = "h2"
		more.Virtuals = slices.Clone(cfg.Virtuals)
		more.Virtuals[0].Hooks.RealUp = ""
		b.d.Reload(context.Background(), &more, "SIGHUP")
		want("a reload", []string{"FILE", "HASH"}, "reload FILE=/etc/ipvsd/ipvsd.toml HASH=h2")
		b.checks.say(pair(web2), checker.Up, "status 200")
		want("without a program", nil)
		b.checks.say(pair(web2), checker.Down, "gone")
		want("with one", []string{"PHASE"}, "real_down PHASE=running")
	})
}

// Nobody serves from the start: that is told once, after the first verdicts.
func TestNoticeOfAnOutageAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "told")
		b := runBench(t, kerneltest.New(), toldConfig(t, file))
		b.checks.say(pair(web1), checker.Down, "a")
		if diff := cmp.Diff([]string{"real_down"}, told(t, file)); diff != "" {
			t.Error(diff)
		}
		b.checks.say(pair(web2), checker.Down, "b")
		if diff := cmp.Diff([]string{"real_down PHASE=starting", "virtual_down PHASE=starting"}, told(t, file, "PHASE")); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Minute)
		if got := told(t, file); got != nil {
			t.Errorf("again: %v", got)
		}
	})
}

// A hook that hangs delays neither the kernel nor mail.
func TestHangingHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := toldConfig(t, filepath.Join(t.TempDir(), "told"))
		// A process would hang in real time, in which nothing waits here; one that
		// fails is tried again and again.
		cfg.Virtuals[0].Hooks = config.VirtualHooks{RealDown: "/nonexistent/hook"}
		cfg.Hooks.Retries, cfg.Hooks.RetryInterval = 1000, time.Second
		b := runBench(t, kerneltest.New(), cfg)
		b.checks.say(pair(web1), checker.Up, "status 200")
		b.checks.say(pair(web2), checker.Down, "refused")
		b.want("at once", map[string]uint32{"192.168.0.101:80": 3, "192.168.0.102:80": 0})
		b.checks.say(pair(web1), checker.Down, "refused")
		b.want("at once", map[string]uint32{"192.168.0.101:80": 0, "192.168.0.102:80": 0, "127.0.0.1:80": 1})
		time.Sleep(6 * time.Second)
		synctest.Wait()
		_ = b.stop()
		for _, want := range []string{
			`msg="hook failed" event=real_down object="192.168.0.105:80/tcp -> 192.168.0.101:80" command=/nonexistent/hook try=2`,
			`msg="mail not sent" to=ops@example.org subject="[ipvsd`, `web: 1 virtual service down, 2 real servers down"`,
		} {
			if !strings.Contains(b.log.String(), want) {
				t.Errorf("the log lacks %s", want)
			}
		}
	})
}

// Each phase is told only where the file wants it.
func TestMailPhases(t *testing.T) {
	for _, tt := range []struct {
		only []config.Phase
		want bool
	}{
		{nil, false},
		{[]config.Phase{config.Starting}, true},
		{[]config.Phase{config.Running, config.Stopping, config.Reloading}, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			cfg := toldConfig(t, filepath.Join(t.TempDir(), "told"))
			cfg.Email.Only = tt.only
			b := runBench(t, kerneltest.New(), cfg)
			b.checks.say(pair(web1), checker.Down, "refused")
			time.Sleep(6 * time.Second)
			_ = b.stop()
			if got := strings.Contains(b.log.String(), "real server 192.168.0.101:80 is down"); got != tt.want {
				t.Errorf("only %v: mail %v, want %v\n%s", tt.only, got, tt.want, b.log.String())
			}
		})
	}
}

// A clean stop is told at once.
func TestMailOfACleanStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := toldConfig(t, filepath.Join(t.TempDir(), "told"))
		cfg.Director.CleanStop, cfg.Email.Only = true, []config.Phase{config.Stopping}
		b := runBench(t, kerneltest.New(), cfg)
		began := time.Now()
		_ = b.stop()
		if took := time.Since(began); took > 5*time.Second || !strings.Contains(b.log.String(), "web is removed") {
			t.Errorf("after %s:\n%s", took, b.log.String())
		}
	})
}
