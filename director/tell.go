package director

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/journal"
	"github.com/ipvsd/ipvsd/director/table"
)

// tellAll is up to how many steps of one round the log names each by itself.
const tellAll = 200

// tellVerdicts tells which real servers are up or down now, and why.
func (l *loop) tellVerdicts(news []table.Pair, before map[table.Pair]checker.State) {
	if len(news) > tellAll {
		l.tellMany(news)
		return
	}
	slices.SortFunc(news, table.Pair.Compare)
	for _, pair := range news {
		status, _ := l.opts.Checks.Status(l.pairs[pair])
		state := l.verdicts[pair]
		level := slog.LevelInfo
		if state == checker.Down {
			level = slog.LevelWarn
		}
		e := event{pair: pair, Entry: journal.Entry{
			Kind: journal.Verdict, Time: status.Since, Before: before[pair].String(), After: state.String(), Cause: status.Last.Reason,
			Text: fmt.Sprintf("%s is %s: %s", l.who(pair), state, status.Last.Reason),
		}}
		if e.Checks = max(status.Streak, -status.Streak); e.Checks > 1 {
			e.Text += fmt.Sprintf(", in %d checks in a row", e.Checks)
		}
		l.happened(level, "real server is "+state.String(), e)
	}
}

// tellMany tells of more new verdicts than anybody reads one by one.
func (l *loop) tellMany(news []table.Pair) {
	var sum [checker.Down + 1]int
	for _, pair := range news {
		sum[l.verdicts[pair]]++
	}
	l.happened(slog.LevelInfo, "real servers have new verdicts", event{whole: true, Entry: journal.Entry{
		Kind: journal.Verdict,
		Text: fmt.Sprintf("%d real servers have new verdicts: %d up, %d down", len(news), sum[checker.Up], sum[checker.Down]),
	}}, "count", len(news))
}

// tell tells what was done to the kernel, when, and why.
func (l *loop) tell(done []table.Step, repairs map[table.Pair]string, at time.Time) {
	if len(done) > tellAll {
		l.opts.Log.Info("kernel steps", "count", len(done), "first", done[0].String())
	}
	for _, s := range done {
		if len(done) > tellAll && !l.opts.Log.Enabled(context.Background(), slog.LevelDebug) {
			l.took(s, "", at) // reasons of so many aren't worth their time
			continue
		}
		level, reason := slog.LevelInfo, l.reason(s, repairs)
		if len(done) > tellAll || l.rises(s) {
			level = slog.LevelDebug
		}
		l.took(s, reason, at)
		if l.opts.Log.Enabled(context.Background(), level) {
			l.opts.Log.Log(context.Background(), level, "kernel step", "step", s.String(), "reason", reason)
		}
	}
}

// rises tells whether a step is one of the many within a slow start, of which
// only the first and the last are worth a line each.
func (l *loop) rises(s table.Step) bool {
	pair := s.Pair()
	return s.Op == table.EditReal && l.expect[pair.Service].Reals[pair.Real].Weight > 0 &&
		share(l.want.Notes, l.virtuals[pair.Service], pair.Real).Rising
}

// reason says in words why a step was made.
func (l *loop) reason(s table.Step, repairs map[table.Pair]string) string {
	pair := s.Pair()
	if why, ok := repairs[pair]; ok {
		return why
	}
	if _, ok := l.cfg.CheckServices[pair.Service]; ok && s.Op != table.DeleteReal {
		return "carries a check with path vip"
	}
	switch s.Op {
	case table.AddService, table.EditService:
		return "in the file"
	case table.DeleteService:
		return "left the file"
	}
	if c, ok := l.causes[pair]; ok {
		return c.String()
	}
	if id, ok := l.pairs[pair]; ok {
		status, _ := l.opts.Checks.Status(id)
		if status.State == checker.Unknown {
			return "no verdict yet"
		}
		why := fmt.Sprintf("%s: %s", status.State, status.Last.Reason)
		if sh := share(l.want.Notes, l.virtuals[pair.Service], pair.Real); sh.Why != "" {
			why += "; " + sh.Why
		}
		return why
	}
	if v, ok := l.virtuals[pair.Service]; ok && v.Fallback != nil && v.Fallback.Addr == pair.Real {
		if s.Op == table.AddReal {
			return "fallback: " + cmp.Or(l.want.Notes[pair.Service].Why, "no real server is up")
		}
		return "fallback: a real server is up"
	}
	if s.Op == table.EditReal {
		return "left the file, finishes its connections"
	}
	return "not in the file"
}

// failureText names the failed steps, the first few by themselves.
func failureText(failed []table.Failure) string {
	const named = 5
	var texts []string
	for i, f := range failed {
		if i == named {
			texts = append(texts, fmt.Sprintf("and %d more", len(failed)-named))
			break
		}
		texts = append(texts, fmt.Sprintf("%s: %v", f.Step, f.Err))
	}
	return strings.Join(texts, "; ")
}
