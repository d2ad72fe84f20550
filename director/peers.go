package director

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/table"
)

// peers is what the loop tells the other directors and hears of them.
type peers struct {
	judged  []checker.ID // the real servers that are checked
	recount bool         // the file is new
	own     Census
	told    *Census      // nil: nothing yet
	faults  []core.Fault // as last told

	track   config.Track // fewer_reals; Kind "": there is none
	fewer   fewerReals
	compare *time.Ticker // of track
}

func newPeers() peers {
	p := peers{compare: time.NewTicker(time.Hour)}
	p.compare.Stop()
	return p
}

// use takes the running file.
func (p *peers) use(cfg *config.Config) {
	p.judged, p.recount, p.own.Set = nil, true, 0
	if cfg.Cluster == nil {
		return
	}
	for _, v := range cfg.Virtuals {
		for _, r := range v.Reals {
			if r.Check.Type == checker.Off {
				continue // never has a verdict
			}
			id := watchID(table.Pair{Service: v.Service.ServiceKey, Real: r.Addr})
			p.judged = append(p.judged, id)
			h := fnv.New64a()
			h.Write([]byte(id))
			p.own.Set += h.Sum64() // the order in the file doesn't matter
		}
	}
	before := p.track
	p.track = config.Track{}
	for _, t := range cfg.Cluster.Tracks {
		if t.Kind == config.TrackFewerReals {
			p.track = t
		}
	}
	switch {
	case p.track.Kind == "":
		p.fewer = fewerReals{}
		p.compare.Stop()
	case p.track.Interval != before.Interval:
		p.compare.Reset(p.track.Interval)
	}
}

// count counts who is up.
func (p *peers) count(states map[checker.ID]checker.State) {
	p.own.Up, p.own.All, p.own.Complete = 0, len(p.judged), true
	for _, id := range p.judged {
		switch states[id] {
		case checker.Up:
			p.own.Up++
		case checker.Unknown:
			p.own.Complete = false
		}
	}
}

// health tells the cluster the failing conditions, and the other directors our
// real servers, when they have changed.
func (l *loop) health(states map[checker.ID]checker.State, news bool) {
	if l.opts.Cluster == nil || l.cfg.Cluster == nil {
		return
	}
	p := &l.peers
	if news || p.recount {
		p.recount = false
		p.count(states)
	}
	faults := Faults(l.cfg, states, linkUp, p.fewer.why())
	if !slices.Equal(faults, p.faults) {
		p.faults, p.own.Faults = faults, faultText(faults)
		l.opts.Cluster.Health(faults)
	}
	if p.told == nil || *p.told != p.own {
		own := p.own
		p.told = &own
		l.opts.Cluster.Tell(own)
	}
}

// compareReals is one look at how many real servers the others have up.
func (l *loop) compareReals() {
	p := &l.peers
	p.fewer.look(p.track, p.own, l.opts.Cluster.Others())
	l.health(l.opts.Checks.States(), false)
}

// fewerReals judges a [[cluster.track]] fewer_reals.
type fewerReals struct {
	failing bool
	against int // looks in a row that say the opposite
	text    string
}

// look is one try. There is no judgement before all real servers have their
// first verdicts, here and there, and none against a director that has others.
func (f *fewerReals) look(t config.Track, own Census, others []Other) {
	if !own.Complete {
		return
	}
	var best Other
	for _, o := range others {
		if o.Complete && o.Set == own.Set && o.Up > best.Up {
			best = o
		}
	}
	bad := best.Name != "" && best.Up-own.Up >= t.FewerReals
	if bad {
		f.text = fmt.Sprintf("%d of %d real servers are up here, %d on %s", own.Up, own.All, best.Up, best.Name)
	}
	if bad == f.failing {
		f.against = 0
		return
	}
	limit := t.Rise
	if bad {
		limit = t.Fall
	}
	if f.against++; f.against >= limit {
		f.failing, f.against = bad, 0
	}
}

// why is why it fails; "": it doesn't.
func (f *fewerReals) why() string {
	if !f.failing {
		return ""
	}
	return f.text
}
