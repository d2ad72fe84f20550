package config

import (
	"strings"
	"time"

	"github.com/ipvsd/ipvsd/checker"
)

// Pace is how patiently programs are run.
type Pace struct {
	Timeout       time.Duration // of one try
	Retries       int           // after the first try failed
	RetryInterval time.Duration // before the first of them, twice as long before each further one
}

// RoleHooks is the section [cluster.hooks]: programs that are run when this
// director's role changed, after the addresses moved and never in their way. A
// program and its arguments are separated by NUL; "" is none.
type RoleHooks struct {
	Active, Standby, Fault string
	Pace
}

// Hooks is the section [hooks]: programs that are run when something changed,
// never in the way of anything. They are written as in RoleHooks.
type Hooks struct {
	VirtualHooks // the default of each virtual service
	Reload       string
	Pace
}

// VirtualHooks are those of one virtual service.
type VirtualHooks struct {
	RealUp, RealDown, VirtualUp, VirtualDown string
}

func (b *clusterReader) hooks() RoleHooks {
	raw := &b.raw.Hooks
	return RoleHooks{
		Active:  b.program(&raw.at, "active", raw.Active),
		Standby: b.program(&raw.at, "standby", raw.Standby),
		Fault:   b.program(&raw.at, "fault", raw.Fault),
		Pace:    b.hookPace(&raw.at, raw.Timeout, raw.Retries, raw.RetryInterval),
	}
}

func (r *report) hooks(raw *rawHooks) Hooks {
	return Hooks{
		VirtualHooks: VirtualHooks{
			RealUp:      r.program(&raw.at, "real_up", raw.RealUp),
			RealDown:    r.program(&raw.at, "real_down", raw.RealDown),
			VirtualUp:   r.program(&raw.at, "virtual_up", raw.VirtualUp),
			VirtualDown: r.program(&raw.at, "virtual_down", raw.VirtualDown),
		},
		Reload: r.program(&raw.at, "reload", raw.Reload),
		Pace:   r.hookPace(&raw.at, raw.Timeout, raw.Retries, raw.RetryInterval),
	}
}

func (r *report) hookPace(t *at, timeout *span, retries *int64, interval *span) Pace {
	return Pace{
		Timeout:       r.positive(t, "timeout", timeout, span(10*time.Second)),
		Retries:       int(r.number(t, "retries", retries, 10, 0, 1000)),
		RetryInterval: or(interval, span(3*time.Second)).duration(),
	}
}

// hooks lays the virtual service's own programs over those of [hooks]. One that
// is empty turns the default off.
func (b *virtualReader) hooks(out VirtualHooks) VirtualHooks {
	raw := &b.raw.Hooks
	for _, k := range []struct {
		key  string
		own  *command
		into *string
	}{
		{"real_up", raw.RealUp, &out.RealUp},
		{"real_down", raw.RealDown, &out.RealDown},
		{"virtual_up", raw.VirtualUp, &out.VirtualUp},
		{"virtual_down", raw.VirtualDown, &out.VirtualDown},
	} {
		switch {
		case k.own == nil:
		case strings.Join(*k.own, "") == "":
			*k.into = ""
		default:
			*k.into = b.program(&raw.at, k.key, k.own)
		}
	}
	return out
}

// program reads a program with its arguments. The checker has the rules: it
// runs such ones, too.
func (r *report) program(t *at, key string, c *command) string {
	if c == nil {
		return ""
	}
	spec := checker.Spec{Type: checker.External, Command: strings.Join(*c, "\x00")}
	if spec.Command == "" || (*c)[0] == "" {
		r.key(t, key, "empty; write %s = [\"/path/of/it\", \"argument\"] or leave it out", key)
		return ""
	}
	problems := spec.Validate()
	if r.here != nil {
		problems = append(problems, spec.ValidateFiles()...)
	}
	for _, p := range problems {
		if p.Field == "command" {
			r.key(t, key, "%s", strings.ReplaceAll(p.Text, "command =", key+" ="))
		}
	}
	return spec.Command
}
