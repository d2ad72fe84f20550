package pool_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/pool"
)

func addr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(11 + i)}), 80)
}

// parse reads servers: "up 5 tier2 barred 50%", one for each comma. "held7" is
// one that was adopted with that weight and waits for its verdict.
func parse(t *testing.T, text string) []pool.Server {
	t.Helper()
	var out []pool.Server
	for i, one := range strings.Split(text, ",") {
		s := pool.Server{Addr: addr(i), Weight: 1, Percent: 100}
		for _, word := range strings.Fields(one) {
			var n uint32
			switch {
			case word == "up":
				s.State = checker.Up
			case word == "down":
				s.State = checker.Down
			case word == "refuses":
				s.State, s.Refuses = checker.Down, true
			case word == "new":
			case word == "barred":
				s.Barred = true
			case scan(word, "tier%d", &n):
				s.Tier = int(n)
			case scan(word, "held%d", &n):
				s.Adopted, s.Held = true, n
			case strings.HasSuffix(word, "%") && scan(word, "%d", &n):
				s.Percent = uint16(n)
			case scan(word, "%d", &n):
				s.Weight = n
			default:
				t.Fatalf("what is %q?", word)
			}
		}
		out = append(out, s)
	}
	return out
}

func scan(word, format string, n *uint32) bool {
	got, err := fmt.Sscanf(word, format, n)
	return err == nil && got == 1
}

// shown prints a decision: the weights, "x" for who is dead, and the fallback.
func shown(d pool.Decision) string {
	var words []string
	for _, s := range d.Shares {
		word := fmt.Sprint(s.Weight)
		if s.Dead {
			word += "x"
		}
		words = append(words, word)
	}
	if d.Fallback {
		words = append(words, "fallback")
	}
	return strings.Join(words, " ")
}

func TestDecide(t *testing.T) {
	two := pool.Rules{Policy: pool.Policy{MinUp: 2}, Fallback: true}
	fallback := pool.Rules{Fallback: true}
	none := pool.Rules{}
	fine := pool.Rules{Fine: true}
	for _, tt := range []struct {
		name    string
		rules   pool.Rules
		servers string
		want    string
		why     string // part of the first reason there is
	}{
		{"no rules", fallback, "up 3, down 5, new 5", "3 0x 0x", ""},
		{"nobody is up", fallback, "down 3, new", "0x 0x fallback", ""},
		{"nobody is up and there is no fallback", none, "down 3, new", "0x 0x", ""},
		{"adopted ones keep the kernel's weight", fallback, "held7 3, held0 3", "7 0", ""},
		{"adopted and drained by hand", fallback, "held0 3", "0 fallback", ""},
		{"weight 0 in the file serves nobody", fallback, "up 0", "0 fallback", ""},
		{"barred", fallback, "barred up 3, up", "0 1", ""},

		{"enough for min_up", two, "up, up, down", "1 1 0x", ""},
		{"too few for min_up", two, "up 4, down, down", "0 0x 0x fallback", "the fallback serves: 1 of the 2"},
		{"too few for min_up, no fallback", pool.Rules{Policy: two.Policy}, "up 4, down, down", "4 0x 0x", ""},
		{"adopted ones count for min_up", two, "up, held3, down", "1 3 0x", ""},
		{"weight 0 doesn't count for min_up", two, "up, up 0, down", "0 0 0x fallback", "the fallback serves"},
		{"barred doesn't count for min_up", two, "up, barred up, down", "0 0 0x fallback", "the fallback serves"},

		{"backup waits", none, "up, down, up tier2", "1 0x 0", "backup: 1 of the tiers before are up"},
		{"backup comes in", none, "down, down, up tier2", "0x 0x 1", ""},
		{"backup comes in for a barred one", none, "barred up, up tier2", "0 1", ""},
		{"backup comes in beside too few", two, "up, down, up tier2, up tier3", "1 0x 1 0", "backup: 2"},
		{"third tier comes in", two, "up, down, down tier2, up tier3", "1 0x 0x 1", ""},
		{"all tiers are too few", two, "up, down, down tier2, down tier3", "0 0x 0x 0x fallback", "the fallback"},
		{"backup was adopted and goes on", none, "held0, held2 tier2", "0 2", ""},
		{"backup was adopted, and the first tier too", none, "held1, held2 tier2", "1 0", "backup"},
		{"the weight of an agent that drains doesn't count", none, "up 0%, up tier2", "0 1", "agent: 0 %"},

		{"agent", none, "up 100 75%, up 100", "75 100", "agent: 75 %, of weight 100"},
		{"agent rounds, and never to nothing", none, "up 1 1%, up 10 25%", "1 3", "agent"},
		{"agent asks for more", none, "up 100 250%, up 60000 200%", "250 65535", "agent"},
		{"agent with fine weights", fine, "up 1 75%, up 2", "75 200", "agent: 75 %, of weight 100"},
		{"agent counts only while up", none, "down 100 75%", "0x", ""},
		{"fine weights", fine, "up 1, up 3, up 0", "100 300 0", "weights count 100 times"},
		{"fine enough", fine, "up 100, up 300", "100 300", ""},
		{"fine weights stay below ipvsadm's limit", fine, "up 1, up 10000", "6 60000", "weights count 6 times"},
		{"percents", fine, "up 30, up 60, up 10", "300 600 100", "weights count 10 times"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := pool.Decide(tt.rules, parse(t, tt.servers), pool.Memory{}, time.Time{})
			if got := shown(d); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			why := ""
			for _, s := range d.Shares {
				if why == "" {
					why = s.Why
				}
			}
			if !strings.Contains(why, tt.why) || tt.why == "" && why != "" {
				t.Errorf("why %q, want %q", why, tt.why)
			}
			if d.Notable() != (why != "") {
				t.Errorf("notable: %v", d.Notable())
			}
		})
	}
}
