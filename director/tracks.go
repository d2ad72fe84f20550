package director

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/cluster/core"
	"github.com/ipvsd/ipvsd/director/config"
)

// trackWatches has the checker watch the tracked gateways and commands: a
// [[cluster.track]] is a check like any other.
func trackWatches(cfg *config.Config) []checker.Watch {
	if cfg.Cluster == nil {
		return nil
	}
	var out []checker.Watch
	for _, t := range cfg.Cluster.Tracks {
		w := checker.Watch{ID: trackID(t), Rise: t.Rise, Fall: t.Fall}
		w.Spec = checker.Spec{Interval: t.Interval, Timeout: t.Timeout}
		switch t.Kind {
		case config.TrackGateway:
			w.Spec.Type, w.Spec.Target = checker.Ping, netip.AddrPortFrom(t.Gateway, 0)
		case config.TrackCommand:
			w.Spec.Type, w.Spec.Command = checker.External, t.Command
		default:
			continue
		}
		out = append(out, w)
	}
	return out
}

func trackID(t config.Track) checker.ID { return checker.ID("track " + t.String()) }

// Faults are the tracked conditions that fail now. linkUp says of an interface
// whether it is there and up; fewer is why fewer_reals fails, "" where it holds.
func Faults(cfg *config.Config, states map[checker.ID]checker.State, linkUp func(string) bool, fewer string) []core.Fault {
	var out []core.Fault
	for _, t := range cfg.Cluster.Tracks {
		text := ""
		switch {
		case t.Kind == config.TrackInterface && !linkUp(t.Interface):
			text = t.Interface + " is down"
		case t.Kind == config.TrackGateway && states[trackID(t)] == checker.Down:
			text = fmt.Sprintf("gateway %s doesn't answer", t.Gateway)
		case t.Kind == config.TrackCommand && states[trackID(t)] == checker.Down:
			text = t.String() + " fails"
		case t.Kind == config.TrackFewerReals && fewer != "":
			text = fewer
		default:
			continue
		}
		out = append(out, core.Fault{Name: string(t.Kind), Text: text, Weight: t.Weight})
	}
	return out
}

func linkUp(name string) bool {
	link, err := net.InterfaceByName(name)
	return err == nil && link.Flags&net.FlagUp != 0 && link.Flags&net.FlagRunning != 0
}
