package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ipvsd/ipvsd/director"
	"github.com/ipvsd/ipvsd/director/intent"
)

// TestOperateCommands runs the commands against a control socket that stands for
// the director.
func TestOperateCommands(t *testing.T) {
	t.Setenv("SUDO_USER", "alice")
	socket := filepath.Join(t.TempDir(), "ipvsd.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan director.OperatorWish, 1)
	mux := http.NewServeMux()
	for _, wish := range []intent.Wish{intent.Drain, intent.Disable, intent.Enable} {
		mux.Handle("POST /v1/"+string(wish), operateHandler(wish, func(_ context.Context, w director.OperatorWish) director.OperatorAnswer {
			asked <- w
			if w.Real == "nobody" {
				return director.OperatorAnswer{Error: `no real server "nobody"; there are 10.0.0.1:80 (web)`}
			}
			return director.OperatorAnswer{
				Reals:     []director.OperatedReal{{Virtual: "web", Real: "10.0.0.1:80", State: director.StateDraining, Active: 3, Next: "weight 0, 3 connections left; out when they have ended"}},
				Steps:     []string{"-e -t 192.0.2.10:80 -r 10.0.0.1:80 -g -w 0"},
				Directors: []director.ToldDirector{{Name: "lb2", Knows: true}, {Name: "lb3", Error: "it isn't there"}},
				Notes:     []string{"a note"},
				Warnings:  []string{"a warning"},
			}
		}))
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })

	for _, tt := range []struct {
		args     []string
		want     director.OperatorWish // zero: nobody is asked
		code     int
		out, err string
	}{
		{
			args: []string{"drain", "10.0.0.1", "--deadline", "30m", "--virtual", "web", "--reason", "kernel update"},
			want: director.OperatorWish{Wish: intent.Drain, Real: "10.0.0.1", Virtual: "web", Deadline: 30 * time.Minute, By: "alice", Reason: "kernel update"},
			out: `10.0.0.1:80 of web: weight 0, 3 connections left; out when they have ended
kernel: -e -t 192.0.2.10:80 -r 10.0.0.1:80 -g -w 0
director lb2: knows it
director lb3: doesn't know it yet: it isn't there; it is told as soon as it answers
note: a note
warning: a warning
`,
		},
		{args: []string{"disable", "nobody"}, want: director.OperatorWish{Wish: intent.Disable, Real: "nobody", By: "alice"}, code: 1, err: "ipvsd: disable: no real server \"nobody\"; there are 10.0.0.1:80 (web)\n"},
		{args: []string{"enable", "nobody"}, want: director.OperatorWish{Wish: intent.Enable, Real: "nobody", By: "alice"}, code: 1, err: "ipvsd: enable: no real server \"nobody\"; there are 10.0.0.1:80 (web)\n"},
		{args: []string{"drain", "10.0.0.1", "--deadline", "0s"}, code: 1, err: "ipvsd: drain: a deadline of 0s; write one that is to come, such as 30m, or use \"ipvsd disable\"\n"},
		{args: []string{"disable", "10.0.0.1", "--deadline", "30m"}, code: 1, err: "ipvsd: unknown flag: --deadline; \"ipvsd disable -h\" has the flags\n"},
		{args: []string{"drain"}, code: 1, err: "ipvsd: an argument is missing; write ipvsd drain REAL [flags]\n"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var out, stderr bytes.Buffer
			code := run(&env{stdout: &out, stderr: &stderr}, append(tt.args, "--socket", socket))
			if code != tt.code || stderr.String() != tt.err || out.String() != tt.out {
				t.Errorf("exit %d\n%s%s\nwant exit %d\n%s%s", code, &out, &stderr, tt.code, tt.out, tt.err)
			}
			var got director.OperatorWish
			select {
			case got = <-asked:
			default:
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
	var out, stderr bytes.Buffer
	if code := run(&env{stdout: &out, stderr: &stderr}, []string{"enable", "10.0.0.1", "--socket", socket + ".none"}); code != 1 || !strings.Contains(stderr.String(), "no director is running") {
		t.Errorf("no director: exit %d, %s", code, &stderr)
	}
}
