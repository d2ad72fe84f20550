// Package standin is the side of a cloud that deploy/cloud's scripts talk to:
// one address, the API that moves it between machines, and the metadata that a
// machine asks who it is. It is for tests; its answers have the shape of the
// real ones as they are documented, and it refuses what they refuse: no token,
// a wrong signature, an unknown machine.
package standin

import (
	"fmt"
	"net/http"
	"sync"
)

// Kind is whose API it is.
type Kind string

// The clouds.
const (
	AWS          Kind = "aws"          // EC2's query API with an Elastic IP
	DigitalOcean Kind = "digitalocean" // reserved IP
	Hetzner      Kind = "hetzner"      // floating IP
)

// Fault is how the API fails.
type Fault int

// The faults. Each counts for one request.
const (
	None      Fault = iota // this one is answered
	Throttled              // too many requests, try later
	Broken                 // an error of the cloud's own
	Hangs                  // no answer, until the client gives up
	Busy                   // another change of the address isn't done yet
	Denied                 // these credentials may not
	Lost                   // it is done, and the answer gets lost
	Late                   // the move is accepted, and done after two more questions
)

// The credentials that the API accepts.
const (
	Token   = "dop_v1_0123456789abcdef" // DigitalOcean and Hetzner
	Key     = "AKIAIOSFODNN7EXAMPLE"
	Secret  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	Session = "IQoJb3JpZ2luX2VjEXAMPLE/+=" // belongs to the role, which has the same key
	Role    = "director"
	Region  = "eu-central-1"
)

// Cloud is the state. Make it with New.
type Cloud struct {
	kind     Kind
	address  string // as the API names it: an allocation, an address, a number
	public   string
	machines []string // by their numbers there: interfaces, droplets, servers
	moved    func(machine string)

	mu     sync.Mutex
	holder string
	faults []Fault
	late   int    // questions until a move is done …
	next   string // … and to whom
	asked  []string
	bad    []string
}

// New makes a cloud with an address that nobody has. moved is called, if it
// isn't nil, each time when somebody else has it.
func New(kind Kind, address, public string, machines []string, moved func(machine string)) *Cloud {
	return &Cloud{kind: kind, address: address, public: public, machines: machines, moved: moved}
}

// Fail lets the next requests of the API fail, each in its way.
func (c *Cloud) Fail(faults ...Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, faults...)
}

// Heal forgets the faults that are left.
func (c *Cloud) Heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = nil
}

// Holder is the machine that has the address, or "".
func (c *Cloud) Holder() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.holder
}

// Give gives the address to a machine without the API.
func (c *Cloud) Give(machine string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.give(machine)
}

func (c *Cloud) give(machine string) {
	if c.holder == machine {
		return
	}
	c.holder = machine
	if c.moved != nil {
		c.moved(machine)
	}
}

// Asked is what the API was asked, in order: the actions, or methods and paths.
func (c *Cloud) Asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.asked...)
}

// Bad is what was wrong with requests.
func (c *Cloud) Bad() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.bad...)
}

// refuse writes down why a request is none.
func (c *Cloud) refuse(format string, args ...any) {
	c.bad = append(c.bad, fmt.Sprintf(format, args...))
}

// fault takes the fault of this request.
func (c *Cloud) fault() (f Fault) {
	if len(c.faults) > 0 {
		f, c.faults = c.faults[0], c.faults[1:]
	}
	return f
}

// question counts a question for the address's holder, after which a late move
// may be done.
func (c *Cloud) question() {
	if c.late == 0 {
		return
	}
	if c.late--; c.late == 0 {
		c.give(c.next)
	}
}

// move moves the address as the API was asked to; false: there is no answer.
func (c *Cloud) move(w http.ResponseWriter, to string, f Fault) bool {
	if f == Late {
		c.late, c.next = 2, to
		return true
	}
	c.give(to)
	if f != Lost {
		return true
	}
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
	return false
}

// API is the cloud's API.
func (c *Cloud) API() http.Handler {
	if c.kind == AWS {
		return http.HandlerFunc(c.ec2)
	}
	return http.HandlerFunc(c.rest)
}
