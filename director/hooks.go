package director

import (
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/cluster"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/hook"
)

// program is what the file says of a hook.
func program(command string, p config.Pace) hook.Program {
	out := hook.Program{Timeout: p.Timeout, Retries: p.Retries, Pause: p.RetryInterval}
	if command != "" {
		out.Argv = strings.Split(command, "\x00")
	}
	return out
}

// roleHook is the program of [cluster.hooks] for a change of role. Its
// environment says what happened:
//
//	IPVSD_EVENT and IPVSD_ROLE (active, standby, fault), IPVSD_PREVIOUS,
//	IPVSD_GROUP, IPVSD_NAME, IPVSD_HOLDER, IPVSD_TERM, IPVSD_REASON
func roleHook(c *config.Cluster, name string, e cluster.Event) hook.Call {
	command := map[cluster.Role]string{
		cluster.Active: c.Hooks.Active, cluster.Standby: c.Hooks.Standby, cluster.Fault: c.Hooks.Fault,
	}[e.To]
	return hook.Call{
		Event: string(e.To), Object: "group " + e.Group, Before: string(e.From), State: string(e.To),
		Program: program(command, c.Hooks.Pace),
		Env: []string{
			"IPVSD_GROUP=" + e.Group, "IPVSD_ROLE=" + string(e.To), "IPVSD_NAME=" + name, "IPVSD_HOLDER=" + e.Holder,
			"IPVSD_TERM=" + strconv.FormatUint(uint64(e.Term), 10), "IPVSD_REASON=" + e.Reason.String(),
		},
	}
}
