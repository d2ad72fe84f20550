package checker

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
)

func TestJSON(t *testing.T) {
	wants := func(field, value string) func(*Spec) {
		return func(s *Spec) { s.JSONField, s.JSONValue = field, value }
	}
	body := func(text string) func(net.Conn) {
		return says(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text))
	}
	health := body(`{"status": "UP", "a.b": 1, "big": 10000000000000000001, "load": 0.5, "ok": true, "bad": false, "none": null,
		"checks": [{"name": "db", "status": "DOWN"}, {"name": "disk"}]}`)
	tryAll(t, Spec{Type: HTTP}, []trial{
		{name: "equal", serve: health, with: wants("status", "UP"), ok: true, reason: "status 200, status is as it should be"},
		{name: "not equal", serve: health, with: wants("status", "OK"), reason: "status is UP, not OK"},
		{name: "not a part", serve: health, with: wants("status", "U"), reason: "status is UP, not U"},
		{name: "pattern", serve: health, with: wants("status", "/^(UP|OK)$/"), ok: true, reason: "status 200, status is as it should be"},
		{name: "other pattern", serve: health, with: wants("status", "/^DOWN/"), reason: "status is UP, not /^DOWN/"},
		{name: "deep", serve: health, with: wants("checks.0.status", "UP"), reason: "checks.0.status is DOWN, not UP"},
		{name: "dot in the name", serve: health, with: wants(`a\.b`, "1"), ok: true, reason: "…"},
		{name: "large number", serve: health, with: wants("big", "10000000000000000001"), ok: true, reason: "…"},
		{name: "fraction", serve: health, with: wants("load", "0.5"), ok: true, reason: "…"},
		{name: "true", serve: health, with: wants("ok", "true"), ok: true, reason: "…"},
		{name: "anything", serve: health, with: wants("ok", ""), ok: true, reason: "…"},
		{name: "false", serve: health, with: wants("bad", ""), reason: "bad is false"},
		{name: "null", serve: health, with: wants("none", ""), reason: "none is null"},
		{name: "missing", serve: health, with: wants("checks.1.status", ""), reason: `body has no field "checks.1.status"`},
		{name: "no such element", serve: health, with: wants("checks.2", ""), reason: `body has no field "checks.2"`},
		{name: "below a text", serve: health, with: wants("status.x", ""), reason: `body has no field "status.x"`},
		{name: "no JSON", serve: body("<html>"), with: wants("status", "UP"), reason: "body is no JSON: …"},
		{name: "half of it", serve: body(`{"status": "UP"`), with: wants("status", "UP"), reason: "body is no JSON, or not all of it"},
		{name: "empty", serve: body(""), with: wants("status", "UP"), reason: "body is no JSON, or not all of it"},
		{name: "receive too", serve: health, with: func(s *Spec) { s.Receive = "db"; wants("status", "UP")(s) }, ok: true, reason: `status 200, body has "db", status is as it should be`},
		{name: "large", serve: body(`{"status": "UP", "x": "` + string(bytes.Repeat([]byte("x"), 200<<10)) + `"}`), with: wants("status", "UP"), ok: true, reason: "…"},
	})
}

func TestProxy(t *testing.T) {
	whole := Spec{Type: HTTPProxy, Request: "http://www.example.org:81/x", Receive: "Test"}
	page := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nTest"
	asked := func(line, host string) func(net.Conn) {
		return func(c net.Conn) {
			if head := request(c); bytes.HasPrefix([]byte(head), []byte(line+" HTTP/1.1\r\nHost: "+host+"\r\n")) {
				_, _ = c.Write([]byte(page))
				return
			}
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
		}
	}
	tryAll(t, whole, []trial{
		{name: "whole URL", serve: asked("GET http://www.example.org:81/x", "www.example.org:81"), ok: true, reason: `status 200, body has "Test"`},
		{name: "virtual host", serve: asked("GET http://www.example.org/x", "www.example.org"), with: func(s *Spec) {
			s.Request, s.VirtualHost = "/x", "www.example.org"
		}, ok: true, reason: `status 200, body has "Test"`},
		{name: "gateway is gone", serve: says("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), reason: "status 502"},
		{name: "redirect", serve: says("HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n"), reason: "status 302"},
	})
	tryHostile(t, whole)
}

func TestRatio(t *testing.T) {
	var asked, met int
	ctx := context.Background()
	answers := make(chan bool, 1)
	count := func(n *int) probe {
		return probeFunc(func(context.Context) Result {
			*n++
			return Result{OK: <-answers}
		})
	}
	p := &ratioProbe{whole: count(&asked), light: count(&met), ratio: 2}
	for i, step := range []struct {
		ok    bool
		whole bool
	}{
		{false, true}, {false, true}, {true, true}, // a bad whole one is repeated
		{true, false}, {true, false}, {true, true}, // two light ones, then the next whole one
		{false, false}, {true, true}, // a bad light one is followed by a whole one
		{true, false}, {true, false}, {false, true}, {true, true},
	} {
		before := asked
		answers <- step.ok
		if r := p.check(ctx, nil); r.OK != step.ok || asked > before != step.whole {
			t.Errorf("check %d: %+v, whole %t, want %+v", i+1, r, asked > before, step)
		}
	}

	// The same through a Spec: the second check only connects.
	target := rawServer(t, says200)
	env := newEnv()
	defer env.close()
	real, err := compile(ptr(Spec{Type: HTTP, Target: target, Ratio: 1}.normal()), env, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"status 200", "connected", "status 200"} {
		if r := run(ctx, real, nil); r.Reason != want {
			t.Errorf("got %+v, want %q", r, want)
		}
	}
}
