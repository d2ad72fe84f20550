package director

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/journal"
	"github.com/ipvsd/ipvsd/director/table"
)

// tellStart keeps that this process began; who logs that is the command.
func (l *loop) tellStart() {
	l.keep(event{Entry: journal.Entry{
		Kind: journal.Daemon, Time: l.started, After: journal.Started,
		Text: fmt.Sprintf("ipvsd %s started with %s and %d virtual services", l.opts.Version, l.cfg.File, len(l.cfg.Virtuals)),
	}})
}

// tellProgrammed keeps that the kernel was programmed once.
func (l *loop) tellProgrammed() {
	text := "the kernel's table was programmed"
	if l.kernel.Error != "" {
		text += ", but not all of it"
	}
	l.keep(event{whole: true, Entry: journal.Entry{Kind: journal.Daemon, After: journal.Programmed, Text: text}})
}

// tellStopped puts the last entry of this process.
func (l *loop) tellStopped(err error) {
	e := event{whole: true, Entry: journal.Entry{Kind: journal.Daemon, After: journal.Stopped, Text: "the director stopped; the kernel's table stays as it is"}}
	switch {
	case err != nil:
		e.Text, e.Cause = "the director stopped; the kernel's table could not be emptied: "+err.Error(), err.Error()
	case l.cfg.Director.CleanStop:
		e.Text = "the director stopped; our part of the kernel's table is empty, by [director] clean_stop"
	}
	l.keep(e)
	l.chronicle()
}

// tellTaken logs what the new file changes. It is asked while the old one runs.
func (l *loop) tellTaken(r reload) {
	changes := config.Diff(l.cfg, r.cfg)
	for _, line := range changes {
		l.opts.Log.Info("reload", "change", line)
	}
	text := "the file " + r.cfg.File + " was read again (" + r.why + "); it changes "
	switch len(changes) {
	case 0:
		text += "nothing"
	case 1:
		text += changes[0]
	default:
		text += fmt.Sprintf("%d things, the first: %s", len(changes), changes[0])
	}
	l.keep(event{whole: true, Entry: journal.Entry{
		Kind: journal.Reload, Before: l.cfg.Hash, After: journal.Loaded, Cause: r.why, Details: changes, Text: text,
	}})
}

// tellRefused keeps why the running file stays; who logs that is the command.
func (l *loop) tellRefused(r reload) {
	lines := strings.Split(strings.TrimSpace(r.err.Error()), "\n")
	errors := "an error"
	if len(lines) > 1 {
		errors = fmt.Sprintf("%d errors", len(lines))
	}
	text := fmt.Sprintf("the file was read again (%s) and refused for %s (%s); the running one stays", r.why, errors, lines[0])
	l.keep(event{Entry: journal.Entry{
		Kind: journal.Reload, Before: l.cfg.Hash, After: journal.Refused, Cause: r.why, Details: lines, Text: text,
	}})
}

// tellUnwanted logs that the kernel refuses something, each time; the journal
// has the first.
func (l *loop) tellUnwanted(err error) {
	const msg = "kernel table is not as wanted"
	if l.kernel.Error != "" {
		l.opts.Log.Error(msg, "err", err, "next", l.backoff)
		return
	}
	l.happened(slog.LevelError, msg, event{Entry: journal.Entry{
		Kind: journal.Kernel, After: "refused", Text: fmt.Sprintf("the kernel's table isn't as wanted, which is tried again: %v", err),
	}}, "err", err, "next", l.backoff)
}

func (l *loop) tellWanted() {
	l.happened(slog.LevelInfo, "kernel table is as wanted again", event{whole: true, Entry: journal.Entry{
		Kind: journal.Kernel, Before: "refused", After: "as wanted", Text: "the kernel's table is as wanted again",
	}})
}

// tellDrift logs what somebody else did to the kernel's table. The journal has
// the same only once a minute.
func (l *loop) tellDrift(d table.Deviation) {
	e := event{pair: d.Pair, Entry: journal.Entry{
		Kind: journal.Drift, Before: d.Before, After: d.After, Cause: string(d.Kind),
		Text: fmt.Sprintf("somebody else changed %s in the kernel: %s became %s", l.who(d.Pair), d.Before, d.After),
	}}
	const msg = "kernel table was changed by somebody else"
	now := time.Now()
	if last, told := l.story.drifted[d.Pair]; told && now.Sub(last) < driftPause {
		l.opts.Log.Warn(msg, e.attrs()...)
		return
	}
	l.story.drifted[d.Pair] = now
	l.happened(slog.LevelWarn, msg, e)
}

// tellVirtual tells that a virtual service is served again, or isn't.
func (l *loop) tellVirtual(n notice, s summary) {
	e := event{pair: table.Pair{Service: n.virtual.Service.ServiceKey}, Entry: journal.Entry{
		Kind: journal.Virtual, Before: upWord(!n.up), After: upWord(n.up), Cause: n.reason,
	}}
	level := slog.LevelWarn
	switch {
	case n.up:
		level, e.Text = slog.LevelInfo, n.virtual.Name+" is served again: "+s.serving
	case s.sorry != "":
		e.After, e.Text = StateFallback, fmt.Sprintf("%s is served by its fallback %s: %s", n.virtual.Name, s.sorry, n.reason)
	default:
		e.Text = n.virtual.Name + " is served by nobody: " + n.reason
	}
	l.happened(level, "virtual service is "+e.After, e)
}
