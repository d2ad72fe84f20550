package ldirectord

import "fmt"

// carried are the global directives that have a key of their own in the output.
// A directive of ldirectord that gets one is entered here or, if its value
// needs more, in build.go or told.go, and leaves leftovers.
var carried = map[string]struct{ table, key string }{
	"autoreload": {"director", "autoreload"},
	"cleanstop":  {"director", "clean_stop"},
}

// leftover is a directive without a key, and what to do instead.
type leftover struct {
	instead string
	idle    string // the value that asks for nothing
	kept    bool   // what it asks for is there without a key
}

// leftovers are the directives that have no key.
var leftovers = map[string]leftover{
	"execute":        {instead: "one director is enough for several files: import them together, as in ipvsd config import A B"},
	"monitorfile":    {instead: `the same is in "ipvsd status --json" and in the metrics`},
	"logfile":        {instead: "ipvsd logs to standard error, which systemd keeps: journalctl -u ipvsd"},
	"fork":           {instead: "each real server has a check of its own that waits for no other", kept: true},
	"supervised":     {instead: `"ipvsd director" always stays in the foreground`, kept: true, idle: "no"},
	"readdquiescent": {instead: "a server that is down at the start always comes with weight 0", kept: true},
	"load":           {instead: "ldirectord has no use for it either", kept: true},
}

// leave says what became of a directive without a key. It returns the comment
// that stands for it in the output, or "".
func (p *parsed) leave(i *item) string {
	l, ok := leftovers[i.name]
	if !ok || i.bad || i.text == l.idle {
		return ""
	}
	p.find(finding{line: i.line, text: fmt.Sprintf("%s: %s", i.name, l.instead), lost: !l.kept})
	if l.kept {
		return ""
	}
	return fmt.Sprintf("not carried over: %s = %s", i.name, i.full)
}
