package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Cluster is the section [cluster]: this director among the others.
type Cluster struct {
	Line      int            // of its header in the file
	Name      string         // unique in the cluster; Load takes the host's short name where the file has none, Parse leaves it ""
	Listen    netip.AddrPort // by which the others reach this director, UDP and TCP; see Join
	Join      []netip.AddrPort
	KeyFile   string // "": no encryption, on loopback or where Insecure says so
	Insecure  bool
	Priority  int // 1 to 255; the highest wins an election
	Profile   Profile
	Interface string // where addresses go that no [[vip]] names; "": found by subnet and route

	Preempt      bool
	PreemptDelay time.Duration

	Quorum    Quorum
	Isolated  Isolated
	Witnesses []netip.Addr // for WitnessQuorum; none: the gateway of the VIP's interface
	Tracks    []Track
	Sync      Sync
	Hooks     RoleHooks
}

// Directors is how many the file configures, this one among them. Join is the
// other ones. Only Parse, which doesn't look at the machine, leaves Listen
// invalid where the file doesn't say it; Join has all of them then.
func (c *Cluster) Directors() int {
	if !c.Listen.IsValid() {
		return max(len(c.Join), 1)
	}
	return len(c.Join) + 1
}

// Profile says how soon a silent director counts as dead.
type Profile string

// The profiles.
const (
	StandardProfile Profile = "standard"
	FastProfile     Profile = "fast"
	RelaxedProfile  Profile = "relaxed"
)

// Quorum says what keeps the halves of a cluster that was cut from both
// serving.
type Quorum string

// The policies.
const (
	WitnessQuorum  Quorum = "witness"
	MajorityQuorum Quorum = "majority"
	NoQuorum       Quorum = "none"
)

// Isolated says what an active director does that hears neither another one
// nor a witness, while it heard both before: it is probably it that was cut off.
type Isolated string

// What it does.
const (
	KeepIsolated Isolated = "keep" // clients on its side go on; another may serve on the other side
	DropIsolated Isolated = "drop"
)

// Sync is the section [cluster.sync]: the kernel's sync daemon, by which the
// standby knows the active director's connections.
type Sync struct {
	Enabled   bool
	ID        int    // 1 to 255; a backup with the id 0 would take everybody's
	Interface string // "": the one that has the address of Cluster.Listen
}

const (
	defaultPort    = 7946
	defaultKeyFile = "/etc/ipvsd/cluster.key"
	maxDirectors   = 17 // an advert tells of 16 others
	maxName        = 63
)

var (
	profiles   = []string{string(StandardProfile), string(FastProfile), string(RelaxedProfile)}
	isolations = []string{string(KeepIsolated), string(DropIsolated)}
	policies   = []string{string(WitnessQuorum), string(MajorityQuorum), string(NoQuorum)}
)

// cluster reads [cluster]; nil is a single director.
func (r *report) cluster(raw *rawFile, vips []netip.Addr) *Cluster {
	if !raw.has("cluster") || raw.bad["cluster"] {
		return nil
	}
	b := &clusterReader{report: r, raw: &raw.Cluster, vips: make(map[netip.Addr]bool, len(vips))}
	for _, a := range vips {
		b.vips[a] = true
	}
	return b.read()
}

// clusterReader reads [cluster] and what is below it.
type clusterReader struct {
	*report
	raw  *rawCluster
	vips map[netip.Addr]bool
	Cluster
}

// fail reports a problem of one of the section's own keys.
func (b *clusterReader) fail(key, format string, args ...any) {
	b.key(&b.raw.at, key, format, args...)
}

func (b *clusterReader) read() *Cluster {
	raw := b.raw
	b.Line = raw.header
	b.Name = b.name()
	b.directors()
	b.keyFile()
	b.Priority = int(b.number(&raw.at, "priority", raw.Priority, 100, 1, 255))
	b.Profile = Profile(profiles[b.word(&raw.at, "profile", or(raw.Profile, profiles[0]), profiles)])
	b.Preempt = or(raw.Preempt, false)
	b.PreemptDelay = or(raw.PreemptDelay, 0).duration()
	if b.PreemptDelay > 0 && !b.Preempt && !raw.bad["preempt"] {
		b.warnf(raw.line("preempt_delay"), "preempt_delay: it means nothing without preempt = true")
	}
	b.Interface = b.interfaceKey(&raw.at, raw.Interface)
	b.quorum()
	b.Tracks = b.tracks()
	b.Sync = Sync{
		Enabled:   or(raw.Sync.Enabled, true),
		ID:        int(b.number(&raw.Sync.at, "id", raw.Sync.ID, 1, 1, 255)),
		Interface: b.interfaceKey(&raw.Sync.at, raw.Sync.Interface),
	}
	b.Hooks = b.hooks()
	c := b.Cluster
	return &c
}

// name returns the director's name; by default the host's, without its domain.
func (b *clusterReader) name() string {
	const cure = `write a name that no other director has, such as name = "loadb1"`
	if b.raw.has("name") {
		name := or(b.raw.Name, "")
		if p := nameProblem(name); p != "" && !b.raw.bad["name"] {
			b.fail("name", "%s", p)
		}
		return name
	}
	if b.here == nil {
		return ""
	}
	host, err := b.here.hostname()
	name, _, _ := strings.Cut(host, ".")
	switch {
	case err != nil:
		b.fail("name", "missing, and the host's is not known (%v); %s", err, cure)
	case nameProblem(name) != "":
		b.fail("name", "missing, and the host's, %q, can't be a director's; %s", host, cure)
	case name == "localhost":
		b.warnf(b.raw.header, "name: this host is called %q, as others may be; %s", host, cure)
	}
	return name
}

// nameProblem says why a director or a group can't have a name, or "". It is
// in log lines, in labels of metrics and in what the directors tell one another.
func nameProblem(name string) string {
	if name == "" {
		return "empty; write a name or leave it out"
	}
	if len(name) > maxName {
		return fmt.Sprintf("%q is longer than %d characters; write a shorter one", name, maxName)
	}
	if i := strings.IndexFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
	}); i >= 0 {
		return fmt.Sprintf(`%q can't be a name; write letters, digits, ".", "_" and "-" only`, name)
	}
	return ""
}

// directors reads listen and join. This director may be in join, so that one
// list serves all; where listen is left out, it must be.
func (b *clusterReader) directors() {
	if b.raw.Listen != nil {
		if a, problem := endpoint(*b.raw.Listen); problem != "" {
			b.fail("listen", "%s", problem)
		} else if b.own("listen", a.Addr()) {
			b.Listen = a
		}
	}
	for _, text := range or(b.raw.Join, nil) {
		a, problem := endpoint(text)
		switch {
		case problem != "":
			b.fail("join", "%s", problem)
		case a == b.Listen || !b.own("join", a.Addr()) || !b.fits(a):
		case slices.Contains(b.Join, a):
			b.fail("join", "%s is in the list twice; remove one of the two", a)
		default:
			b.Join = append(b.Join, a)
		}
	}
	if !b.raw.has("listen") {
		b.find()
	}
	switch {
	case b.raw.bad["join"] || b.raw.bad["listen"]:
	case b.Directors() > maxDirectors:
		b.fail("join", "there are %d directors; there can be %d", b.Directors(), maxDirectors)
	case b.Directors() == 1:
		b.warnf(b.raw.line("join"), `join: there is no other director in it; this cluster has one director, which nobody takes over from: write join = ["192.0.2.4:7946"]`)
	}
}

// endpoint reads a director's address, with a port or without.
func endpoint(s string) (netip.AddrPort, string) {
	host, _, _ := splitPort(s)
	if s == "" || strings.Trim(host, "0123456789") == "" {
		return netip.AddrPort{}, fmt.Sprintf(`%q is not an address; write it like "192.0.2.3:%d" or "[2001:db8::3]:%d"`, s, defaultPort, defaultPort)
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() && a.IsLinkLocalUnicast() {
		return netip.AddrPort{}, fmt.Sprintf("%q is a link-local address, which other directors can't be told; write a global or a unique local one", s)
	}
	addr, port, problem := parseAddress(s)
	switch {
	case problem != "":
		return netip.AddrPort{}, problem
	case port == 0:
		return netip.AddrPort{}, fmt.Sprintf("%q: nobody can reach port 0; write %d or leave the port out", s, defaultPort)
	case port == noPort:
		port = defaultPort
	}
	return netip.AddrPortFrom(addr, uint16(port)), ""
}

// own tells whether an address stays with its director.
func (b *clusterReader) own(key string, a netip.Addr) bool {
	if b.vips[a] {
		b.fail(key, "%s is a virtual address, which moves from director to director; write the director's own", a)
	}
	return !b.vips[a]
}

// fits tells whether another director can be reached from where this one is.
func (b *clusterReader) fits(a netip.AddrPort) bool {
	self, what := b.Listen, "listen"
	if !self.IsValid() && len(b.Join) > 0 {
		self, what = b.Join[0], "another one"
	}
	switch {
	case !self.IsValid():
		return true
	case self.Addr().Is4() != a.Addr().Is4():
		b.fail("join", "%s and %s (%s) are of two families; write all directors' addresses in one", a, self, what)
	case self.Addr().IsLoopback() != a.Addr().IsLoopback():
		b.fail("join", "of %s and %s (%s) one is for this machine only; write addresses that reach all directors", a, self, what)
	default:
		return true
	}
	return false
}

// find finds this director in join by the addresses that this machine has.
func (b *clusterReader) find() {
	const cure = `write this director's own address, such as listen = "192.0.2.3:7946"`
	if b.raw.bad["join"] {
		return
	}
	if len(b.Join) == 0 {
		b.fail("listen", "missing; %s", cure)
		return
	}
	if b.here == nil {
		return
	}
	local, err := b.here.local()
	if err != nil {
		b.fail("listen", "missing, and this machine's addresses are not known (%v); %s", err, cure)
		return
	}
	var mine []netip.AddrPort
	for _, a := range b.Join {
		if local[a.Addr()] {
			mine = append(mine, a)
		}
	}
	switch len(mine) {
	case 0:
		b.fail("listen", "missing, and this machine has no address that is in join; %s", cure)
	case 1:
		b.Listen = mine[0]
		b.Join = slices.DeleteFunc(b.Join, func(a netip.AddrPort) bool { return a == b.Listen })
	default:
		b.fail("listen", "missing, and %s in join are both this machine's; %s", words([]string{mine[0].String(), mine[1].String()}), cure)
	}
}

// loopback tells whether the cluster is on this machine alone.
func (b *clusterReader) loopback() bool {
	if b.Listen.IsValid() || len(b.Join) == 0 {
		return b.Listen.Addr().IsLoopback()
	}
	return b.Join[0].Addr().IsLoopback()
}

// keyFile reads key_file and insecure. Whoever can send to the directors could
// take their addresses over, so that a key is only left out aloud, or where
// nobody else can send: on loopback.
func (b *clusterReader) keyFile() {
	raw := b.raw
	b.KeyFile, b.Insecure = or(raw.KeyFile, ""), or(raw.Insecure, false)
	if b.Insecure && !b.loopback() && !raw.bad["listen"] && !raw.bad["join"] {
		b.warnf(raw.line("insecure"), "insecure: whoever can send to this director can take its addresses over; \"ipvsd cluster keygen\" writes a key for key_file")
	}
	open := b.Insecure || b.loopback()
	switch {
	case !raw.has("key_file") && !open && !raw.bad["insecure"]:
		b.KeyFile = defaultKeyFile
	case raw.KeyFile == nil:
	case b.KeyFile == "" && !open:
		b.fail("key_file", "empty; write the path of the key, such as %q", defaultKeyFile)
	case b.KeyFile == "":
	case !strings.HasPrefix(b.KeyFile, "/"):
		b.fail("key_file", "%q doesn't begin with /; write the whole path, such as %q", b.KeyFile, defaultKeyFile)
	case b.Insecure:
		b.fail("insecure", "true, and there is a key in line %d; leave one of the two out", raw.line("key_file"))
	}
	if b.here != nil && b.KeyFile != "" && !raw.bad["key_file"] {
		if p := keyFileProblem(b.KeyFile); p != "" {
			b.fail("key_file", "%s", p)
		}
	}
}

// quorum reads the policy and the witnesses.
func (b *clusterReader) quorum() {
	raw, n := b.raw, b.Directors()
	known := !raw.bad["join"] && !raw.bad["listen"]
	switch {
	case raw.Quorum != nil:
		b.Quorum = Quorum(policies[b.word(&raw.at, "quorum", *raw.Quorum, policies)])
	case n == 1:
		b.Quorum = NoQuorum
	case n == 2:
		b.Quorum = WitnessQuorum
	default:
		b.Quorum = MajorityQuorum
	}
	if raw.Quorum != nil && !raw.bad["quorum"] && known {
		switch {
		case b.Quorum == MajorityQuorum && n == 2:
			b.warnf(raw.line("quorum"), "quorum: the majority of two directors is both, so that neither takes over from the other; write quorum = \"witness\"")
		case b.Quorum == WitnessQuorum && n > 2:
			b.warnf(raw.line("quorum"), "quorum: \"witness\" is for two directors, and there are %d; write quorum = \"majority\"", n)
		}
	}
	for _, text := range or(raw.Witnesses, nil) {
		a, ok := b.neighbour(&raw.at, "witnesses", text)
		switch {
		case !ok:
		case slices.Contains(b.Witnesses, a):
			b.fail("witnesses", "%s is in the list twice; remove one of the two", a)
		default:
			b.Witnesses = append(b.Witnesses, a)
		}
	}
	b.Isolated = Isolated(isolations[b.word(&raw.at, "isolated", or(raw.Isolated, isolations[0]), isolations)])
	if b.Isolated == DropIsolated && b.Quorum != WitnessQuorum && known && !raw.bad["quorum"] {
		b.warnf(raw.line("isolated"), "isolated: it means nothing with quorum = %q, which has no witnesses to hear", b.Quorum)
	}
	if len(b.Witnesses) > 0 && b.Quorum != WitnessQuorum && known && !raw.bad["quorum"] {
		b.warnf(raw.line("witnesses"), "witnesses: with quorum = %q nobody asks them; a neighbour to watch is a [[cluster.track]]", b.Quorum)
	}
}

// neighbour reads the address of a machine near the directors that is none.
func (b *clusterReader) neighbour(t *at, key, text string) (netip.Addr, bool) {
	a, problem := plainAddress(text)
	self := b.Listen.Addr() == a
	other := slices.ContainsFunc(b.Join, func(j netip.AddrPort) bool { return j.Addr() == a })
	switch {
	case problem != "":
	case a.IsLinkLocalUnicast() && a.Is6() && a.Zone() == "":
		problem = fmt.Sprintf(`%q is on every interface; say on which one: "%s%%eth0"`, text, a)
	case b.vips[a]:
		problem = fmt.Sprintf("%s is a virtual address, which the active director has itself; write another machine's", a)
	case !b.loopback() && (self || other || a.IsLoopback()):
		problem = fmt.Sprintf("%s is a director's own address; write another machine's, such as the gateway's", a)
	default:
		return a, true
	}
	b.key(t, key, "%s", problem)
	return a, false
}
