package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// farm shows what was built and what the operator did for it.
func (t *teller) farm(ctx context.Context, f *demoFarm) {
	t.line(plain, "")
	t.line(bold, "A web farm: one client, one director, three web servers (nginx)")
	t.line(plain, "")
	t.line(plain, "   client           director               +--> web1  192.168.0.101")
	t.line(plain, "   "+demoClient+" ---> "+demoDirector+" ---------+--> web2  192.168.0.102")
	t.line(plain, "                    takes requests for     +--> web3  192.168.0.103")
	t.line(plain, "                    "+demoVIP+":80")
	t.line(plain, "")
	t.say("On each web server, once (direct routing: answers bypass the director):")
	t.block("# ipvsd realserver setup --vip " + demoVIP + "\n" + f.setup)
	t.read(ctx)
	t.line(plain, "")
	t.say("On the director, a file and the daemon:")
	t.block("# cat ipvsd.toml\n" + demoFile + "\n# ipvsd director -c ipvsd.toml\n")
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
func (t *teller) summary(played []scene, r lab.Report, f *demoFarm) {
	t.line(plain, "")
	t.line(bold, "What the client saw")
	total := time.Duration(0)
	if n := len(played); n > 0 {
		total = played[n-1].end.Sub(played[0].start)
	}
	t.pair("requests", fmt.Sprintf("%d in %s, each on a new connection", r.Sent, seconds(total)))
	t.pair("failed", t.failed(played, r))
	longest := "none"
	if d := r.Outage.Duration(); d > 0 {
		longest = fmt.Sprintf("%d ms between two good answers", d.Milliseconds())
	}
	t.pair("longest outage", longest)
	t.pair("slowest answer", fmt.Sprintf("%d ms", r.Slowest.Milliseconds()))
	var who []string
	for _, w := range f.webs {
		who = append(who, fmt.Sprintf("%s %d", w.name, r.Servers[w.name].Count))
	}
	who = append(who, fmt.Sprintf("%s %d", demoFallback, r.Servers[demoFallback].Count))
	t.pair("answered by", strings.Join(who, ", "))

	t.line(plain, "")
	const row = "  %-23s %-28s %8s %6s"
	t.line(bold, fmt.Sprintf("%-54s %8s %6s", "What happened", "requests", "failed"))
	for i := range played {
		sc := &played[i]
		effect := sc.act.effect
		if sc.act.seen != nil {
			effect += " after " + seconds(sc.effect.Sub(sc.start))
		}
		s := plain
		if len(sc.lost) > 0 {
			s = yellow
		}
		t.line(s, fmt.Sprintf(row, sc.act.row, effect, fmt.Sprint(sc.sent), fmt.Sprint(len(sc.lost))))
	}
}

func (t *teller) pair(label, text string) { t.line(plain, fmt.Sprintf("  %-16s %s", label, text)) }

// failed says where the lost requests went, if it is where they may.
func (t *teller) failed(played []scene, r lab.Report) string {
	text := fmt.Sprint(len(r.Failed))
	for i := range played {
		sc := &played[i]
		excused := 0
		for _, lost := range r.Failed {
			if sc.excuses(lost) {
				excused++
			}
		}
		if excused > 0 && excused == len(r.Failed) {
			text += fmt.Sprintf(", before the dead %s was out", sc.act.web.name)
		}
	}
	return text
}

// problems is the last word.
func (t *teller) problems(list []string) {
	t.line(plain, "")
	if len(list) == 0 {
		t.line(green, "All went as it should.")
		return
	}
	t.line(red, "Not all went as it should:")
	for _, p := range list {
		for i, l := range wrap(clean(p), demoWidth-4) {
			if i == 0 {
				t.line(red, "  - "+l)
			} else {
				t.line(red, "    "+l)
			}
		}
	}
}
