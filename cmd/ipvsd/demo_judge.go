package main

import (
	"fmt"
	"time"

	"github.com/ipvsd/ipvsd/test/lab"
)

// judge holds what the client saw to the story. What a lab that stands still does
// to it isn't the cluster's doing.
func (p *play) judge(r lab.Report, held lab.HoldReport) {
	var room time.Duration
	if p.starved() {
		room = 2 * p.stall // it comes before and after that which was waited for
	}
	for _, sc := range p.played {
		lost := sc.unexcused()
		if len(lost) > sc.act.slack+int(room/requestInterval) {
			p.problem("%s: %s failed: %v", sc.act.row, count(len(lost), "request"), lost[0].Err)
		}
		if o := sc.report.Outage; o.Duration() > sc.act.outage+room || o.Open && o.Duration() > time.Second+room {
			p.problem("%s: for %s no request was answered", sc.act.row, seconds(o.Duration()))
		}
	}
	for _, name := range p.names() {
		if r.Servers[name].Count == 0 {
			p.problem("%s answered no request", name)
		}
	}
	if held.Broken != nil {
		p.problem("the held connection broke: %v", held.Broken)
	}
}

// starved tells whether the lab stood still for longer than a cluster ignores.
func (p *play) starved() bool { return p.stall > 250*time.Millisecond }

// busy says so to the reader, whose machine it is.
func (p *play) busy(went string) string {
	return fmt.Sprintf("This machine is busy: the lab stood still for %s. %s", seconds(p.stall), went)
}

// unexcused are the requests that failed though nothing in the act was to hit
// them: a request that was begun before a dead server was out, or just when its
// director died, is what the act is about.
func (sc *scene) unexcused() []lab.Failure {
	var out []lab.Failure
	for _, f := range sc.report.Failed {
		if !f.Time.Before(sc.excused) {
			out = append(out, f)
		}
	}
	return out
}
