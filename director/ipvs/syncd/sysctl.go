package syncd

import (
	"github.com/ipvsd/ipvsd/director/table"
)

// Sysctl is one kernel setting; it converts to director.Sysctl.
type Sysctl struct {
	Path   string // below /proc/sys
	Value  string
	Reason string
}

// Sysctls lists what synchronising the connections of these services needs, in
// the order in which to set it: before the daemons start.
//
// sync_threshold's second number is 0. At its default of 50 a connection is
// sent at its 3rd packet, its 53rd and so on, and neither the refresh period nor
// the retries below send anything in between: they only hold back. A slow
// connection then ends on the standby, by its timeout, while it lives on the
// active; and a director that comes back learns of a connection only after up
// to 50 more packets. At 0 the refresh period rules: a connection is sent once
// it is established, up to 3 times more within the next seconds, and then at the
// first packet after each 10 s. A connection that is over within a second costs
// as many entries as before, a fast one far fewer. The first number is what
// remains if somebody sets the period to 0.
//
// sloppy_tcp lets a director take up a connection that it never saw begin, which
// one younger than Delay is for a standby. Only where the real server follows
// from the packet and not from a counter does it arrive where it was: schedulers
// mh, sh and dh, and persistent clients, whose template is synchronised with
// their first connection. (mh is the best of them: the tables of sh and dh
// depend on the order in which real servers were added.) With other schedulers
// a stray packet is answered with a reset in any case, by the director without
// it, by some real server with it; so it isn't set for those alone, where it
// would only let a flood of ACKs make entries. It holds for the whole network
// namespace; one service that gains is reason enough.
func Sysctls(services []table.Service) []Sysctl {
	out := []Sysctl{
		{"net/ipv4/vs/backup_only", "0", "sync: both daemons run, and a director with a backup daemon would refuse its own traffic"},
		{"net/ipv4/vs/sync_threshold", "3 0", "sync: slow connections are sent, too, not only each 50th packet"},
		{"net/ipv4/vs/sync_refresh_period", "10", "sync: a connection is sent anew after 10 s, so that it doesn't end on the standby"},
		{"net/ipv4/vs/sync_retries", "3", "sync: messages get lost and are never acknowledged"},
	}
	var tcp, sctp bool
	for _, s := range services {
		if !follows(s) {
			continue
		}
		tcp = tcp || s.Protocol == table.TCP || s.FWMark != 0
		sctp = sctp || s.Protocol == table.SCTP || s.FWMark != 0
	}
	const reason = "sync: a failover keeps connections too young to be known: their real server follows from the client's address"
	if tcp {
		out = append(out, Sysctl{"net/ipv4/vs/sloppy_tcp", "1", reason})
	}
	if sctp {
		out = append(out, Sysctl{"net/ipv4/vs/sloppy_sctp", "1", reason})
	}
	return out
}

// follows tells whether two directors send an unknown connection to the same
// real server.
func follows(s table.Service) bool {
	return s.Scheduler == "mh" || s.Scheduler == "sh" || s.Scheduler == "dh" || s.Timeout > 0
}
