package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// farm shows what was built and what the operator did for it.
func (t *teller) farm(ctx context.Context, f *demoFarm) {
	t.line(plain, "")
	t.line(bold, "A web cluster: one client, two directors, three web servers (nginx)")
	t.line(plain, "")
	for _, l := range []string{
		"client            directors, one is active         web servers",
		"               +--> loadb1  " + demoLoadb1 + " --+       +--> web1  192.168.0.101",
		demoClient + " ---+    address " + demoVIP + "   +-------+--> web2  192.168.0.102",
		"               +--> loadb2  " + demoLoadb2 + " --+       +--> web3  192.168.0.103",
	} {
		t.line(plain, demoIndent+l)
	}
	t.line(plain, "")
	t.say("On each web server, once. Its answers go to the client directly, not by way of a director:")
	t.command("web1", "ipvsd realserver setup --vip "+demoVIP, f.setup)
	t.line(plain, "")
	t.say("On one director, once: a key and a file. The other one gets a copy of both:")
	t.command("loadb1", "ipvsd cluster keygen -o "+demoKeyPath, f.keygen)
	t.command("loadb1", "cat "+demoFilePath, demoFile)
	t.read(ctx)
	t.line(plain, "")
	t.say("On both, the daemon:")
	t.command("loadb1", "ipvsd director", "")
	t.command("loadb2", "ipvsd director", "")
	t.read(ctx)
}

// read leaves a reader at a terminal some time.
func (t *teller) read(ctx context.Context) {
	if !t.o.live {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(3 * time.Second):
	}
}

// summary is what the client saw, and how long everything took.
func (t *teller) summary(played []*scene, r lab.Report, held lab.HoldReport, names []string) {
	t.line(plain, "")
	t.line(bold, "What the client saw")
	total := time.Duration(0)
	if n := len(played); n > 0 {
		total = played[n-1].end.Sub(t.start)
	}
	t.pair("requests", fmt.Sprintf("%d in %s, each on a new connection", r.Sent, seconds(total)))
	t.pair("failed", failed(played, r))
	late := "0"
	if r.Late > 0 {
		late = fmt.Sprintf("%d, answered after more than %d ms: TCP had to ask again", r.Late, lateAfter.Milliseconds())
	}
	t.pair("late", late)
	longest := "none"
	if d := r.Outage.Duration(); d > 0 {
		longest = fmt.Sprintf("%d ms between two good answers", d.Milliseconds())
	}
	t.pair("longest outage", longest)
	t.pair("answered by", servers(r, names))
	life := "alive"
	if held.Broken != nil {
		life = "broken: " + held.Broken.Error()
	}
	t.pair("held connection", fmt.Sprintf("%s: %d lines answered by %s, longest silence %d ms",
		life, held.Answered, held.Server, held.Silence.Milliseconds()))

	t.line(plain, "")
	const row = "  %-21s %-26s %8s %6s %4s %6s"
	t.line(bold, fmt.Sprintf("%-50s %8s %6s %4s %6s", "What happened", "requests", "failed", "late", "outage"))
	for _, sc := range played {
		s := plain
		if len(sc.report.Failed)+sc.report.Late > 0 {
			s = yellow
		}
		outage := "-"
		if d := sc.report.Outage.Duration(); d > 0 {
			outage = fmt.Sprintf("%d ms", d.Milliseconds())
		}
		t.line(s, fmt.Sprintf(row, sc.act.row, sc.result, fmt.Sprint(sc.report.Sent),
			fmt.Sprint(len(sc.report.Failed)), fmt.Sprint(sc.report.Late), outage))
	}
}

// failed says where the lost requests went, if it is where they may.
func failed(played []*scene, r lab.Report) string {
	text := fmt.Sprint(len(r.Failed))
	unexcused := 0
	for _, sc := range played {
		unexcused += len(sc.unexcused())
	}
	if len(r.Failed) > 0 && unexcused == 0 {
		text += ", on the way to what had just died"
	}
	return text
}

func (t *teller) pair(label, text string) { t.line(plain, fmt.Sprintf("  %-16s %s", label, text)) }

// problems is the last word.
func (t *teller) problems(list []string) {
	t.line(plain, "")
	if len(list) == 0 {
		t.line(green, "All went as it should.")
		return
	}
	t.line(red, "Not all went as it should:")
	for _, p := range list {
		for i, l := range wrap(clean(p), t.o.width-4) {
			if i == 0 {
				t.line(red, "  - "+l)
			} else {
				t.line(red, "    "+l)
			}
		}
	}
}
