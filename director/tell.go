package director

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/table"
)

// tellAll is up to how many steps of one round the log names each by itself.
const tellAll = 200

// tellVerdicts logs which real servers are up or down now, and why.
func (l *loop) tellVerdicts(news []table.Pair) {
	if len(news) > tellAll {
		l.opts.Log.Info("real servers have new verdicts", "count", len(news))
		return
	}
	slices.SortFunc(news, table.Pair.Compare)
	for _, pair := range news {
		status, _ := l.opts.Checks.Status(l.pairs[pair])
		level := slog.LevelInfo
		if status.State == checker.Down {
			level = slog.LevelWarn
		}
		l.opts.Log.Log(context.Background(), level, "real server is "+status.State.String(),
			"service", pair.Service.String(), "real", pair.Real.String(), "reason", status.Last.Reason)
	}
}

// tell logs what was done to the kernel and why.
func (l *loop) tell(done []table.Step, repairs map[table.Pair]string) {
	level := slog.LevelInfo
	if len(done) > tellAll {
		level = slog.LevelDebug
		l.opts.Log.Info("kernel steps", "count", len(done), "first", done[0].String())
	}
	for _, s := range done {
		level := level
		if l.rises(s) {
			level = slog.LevelDebug
		}
		if l.opts.Log.Enabled(context.Background(), level) {
			l.opts.Log.Log(context.Background(), level, "kernel step", "step", s.String(), "reason", l.reason(s, repairs))
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

func realText(p table.Pair) string {
	if !p.Real.IsValid() {
		return ""
	}
	return p.Real.String()
}
