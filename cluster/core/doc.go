// Package core decides which director holds which group of virtual addresses.
//
// It is pure: a Core is a value that Step moves on. It does no I/O, reads no
// clock, starts no goroutine, writes no log; chance comes from Config.Seed
// alone. The same inputs at the same times give the same actions, so that a
// failing schedule of the simulator replays from its seed. One goroutine, the
// runtime's, owns it; nothing here is safe for concurrent use.
//
// The protocol is that of VRRP (RFC 9568) taken further: adverts by every
// director, terms as in Raft for who wins, and the address on the wire itself
// (ARP, neighbour discovery) as the witness of whether a silent director still
// serves. Addresses carry a lifetime in the kernel, so that a hung process
// loses them without doing anything.
//
// # How to drive it
//
//	actions := c.Step(now, in)   // for each event
//	carry out actions in order   // Drop comes first and must be over before the next
//	set one timer to c.NextDeadline() and then Step with Tick
//
// now is the monotonic time since the process began. Deliver what has been
// received already before Tick: after a stall the core first wants to know
// what it missed. A Step that comes later than NextDeadline by more than one
// interval is taken for a stall of our own and credited to the peers.
//
// # Inputs
//
//	Tick      the deadline has come. Early ones are harmless.
//	Received  a decoded message of another director, authenticated already.
//	Asked     a question (ARP probe, neighbour solicitation) for the addresses of a
//	          group was sent on one interface: one each Probe.Every, until Probe{Every: 0}.
//	Answered  somebody answered such a question, with that MAC. Deliver answers
//	          before the next Asked, or they count as missing.
//	Claimed   another machine announced or answered an address while we hold it.
//	Witnessed one round of asking the witnesses, each up to three times, ended: when it
//	          was begun and how many answered. One a second; while AskWitnesses{Every: >0}
//	          stands, one each Every.
//	Health    what is wrong with this director, for one group or all: the whole list
//	          each time. "No VIP before the table" is a hard fault that stands until
//	          the table was programmed once.
//	Actuated  how Hold came out (Up, Lost, Failed), or at the start that the addresses
//	          of a group are still there from an earlier process (Leftover); better say
//	          that, the MACs and the first faults in Config, for the first advert.
//	Warmed    the table of synced connections is warm: preempting may go on.
//	Failover  the operator wants a group (or all) elsewhere. Ends with one Answer for
//	          each group.
//	Stop      SIGTERM: hand over, say goodbye, then Stopped. (For a restart in place
//	          send no Stop: end the process; the next adopts the addresses.)
//	Stalled   the runtime knows of a stall that the clock doesn't show (suspend).
//	MACs      the MACs of the interfaces with VIPs, when they change.
//	Reload    another configuration; name and boot id stay.
//
// # Actions
//
//	Drop         remove the addresses of the group: synchronously, before all else,
//	             tolerating that they are gone.
//	Hold         have the addresses of the group for Lifetime from now, and announce them
//	             as they come up. Repeated to renew (Renew); several in one Step are one
//	             batch. Answer with Actuated Up once all are there and were announced
//	             once: in a hand-over the old holder drops then.
//	Announce     announce again; Kind says how often.
//	Send         a message to one director, or to all configured ones ("").
//	Probe        start (Every > 0) or stop asking the wire for the group's addresses.
//	AskWitnesses start or stop asking the witnesses often.
//	Transition   a group changed state: its reason, the phases of a failover.
//	Decision     a group decided not to act, and why; only when that changed.
//	Note         something worth telling that changes no role (config skew, a link broken
//	             one way, a web node that answers ARP for a VIP).
//	Answer       the operator's command ended.
//	Stopped      nothing is held any more, everybody was told.
//
// Every Transition and Decision has a Reason: a comparable value whose Code is
// fit for a metric label and whose String is the sentence for people.
package core
