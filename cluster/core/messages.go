package core

// Version of the wire format. One that doesn't know another's refuses it.
const Version = 1

// Kind is what a message is.
type Kind uint8

// The kinds. Advert, Ping and Pong carry an Advert; the others are about one
// group, keyed by boot id and term, and do nothing when they come twice.
const (
	KindAdvert   Kind = iota + 1 // each interval, to everybody
	KindPing                     // an advert that wants an answer at once
	KindPong                     // that answer
	KindHandover                 // holder to Node: take the group with Term
	KindTook                     // successor to holder: it is mine with Term, on the wire
	KindRefuse                   // successor to holder: not I, for Text
	KindYield                    // holder to all: dropped, held last with Term
	KindLeave                    // to all: this process ends
	KindVote                     // candidate to all: may I have Term?
	KindGrant                    // voter to candidate: yes; none else for a time
	KindAbort                    // candidate to all: Term is off
	KindRequest                  // to the holder: hand over to Node
)

var kindNames = [...]string{
	"none", "advert", "ping", "pong", "handover", "took", "refuse", "yield", "leave", "vote", "grant", "abort", "request",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

func (k Kind) known() bool { return k >= KindAdvert && k <= KindRequest }

// state is whether the message carries an Advert.
func (k Kind) state() bool { return k >= KindAdvert && k <= KindPong }

// Message is what directors send each other. Who has one may not change it.
type Message struct {
	Kind Kind
	From string
	Boot uint64
	Seq  uint64 // one counter for all messages of a boot

	Advert *Advert // of Advert, Ping, Pong

	Group    GroupID // of the others
	Term     uint32
	Node     string
	Planned  bool // Vote: the holder hands over
	Operator bool // Request, Handover: a person wants it, whatever the priorities
}

// Flags of an advert.
type Flags uint8

// The flags.
const (
	Leaving  Flags = 1 << iota // about to end
	Starved                    // stalled lately
	NoReach                    // no witness answers
	NoQuorum                   // the majority doesn't confirm
)

// Advert is what a director says of itself.
type Advert struct {
	Interval, Suspect, Dead uint16 // ms
	Fence                   uint16 // ms after its last renewal until its addresses are surely gone; 0: never
	Flags                   Flags
	Directors               uint8 // that it has configured
	Reach                   uint8 // witnesses that answer …
	Witnesses               uint8 // … of these
	Fingerprint             uint64
	MACs                    []MAC // from which its addresses answer
	Groups                  []GroupState
	Heard                   []Heard
}

// GroupFlags are the flags of one group in an advert.
type GroupFlags uint8

// The flags.
const (
	IsUp     GroupFlags = 1 << iota // the addresses are on the wire
	Eligible                        // could serve
	Damped                          // lost it too often lately
	Planned                         // got it by a hand-over
	Pinned                          // an operator put it there
	Adopting                        // the addresses are still there from an earlier process
)

// GroupState is one group in an advert.
type GroupState struct {
	ID       GroupID
	State    State
	Flags    GroupFlags
	Priority uint16 // faults taken off
	Term     uint32 // of the holder; else the highest seen
	// Holder is whom the sender hears holding it now; a director that can't hear
	// the holder itself learns from it that there is one.
	Holder     string
	HolderTerm uint32
}

// Heard is when a director last heard another.
type Heard struct {
	Node string
	Boot uint16 // its low bits: of which process
	Seq  uint16 // its low bits: the newest advert
	Age  uint16 // ms, at most 65535
}
