package keepalived

import (
	"fmt"
	"testing"
)

// TestQuorum is about how many real servers have the quorum of weights.
func TestQuorum(t *testing.T) {
	const sorry = "sorry_server 10.0.0.9 80\n"
	for _, c := range []keyword{
		{name: "of equals", conf: sorry + "quorum 3\n" + reals("weight 2", "weight 2", "weight 2"), want: "min_up = 2"},
		{name: "of any three", conf: sorry + "quorum 11\n" + reals("weight 4", "weight 5", "weight 4", "weight 5"), want: "min_up = 3"},
		{name: "of two or three", conf: sorry + "quorum 10\n" + reals("weight 8", "weight 2", "weight 2"), want: "min_up = 2", lost: []string{"from 2 to 3 of them have it; 2 is taken"}},
		{name: "of one or two", conf: sorry + "quorum 4\n" + reals("weight 4", "weight 3"), not: "min_up", lost: []string{"from 1 to 2 of them have it; 1 is taken"}},
		{name: "without weight", conf: sorry + "quorum 2\nweight 1\n" + reals("weight 0", "", ""), want: "min_up = 2"},
		{name: "of more than all", conf: sorry + "quorum 9\n" + reals("", ""), want: "min_up = 2", told: "taken as 2, as keepalived does"},
		{name: "no number", conf: sorry + "quorum two\n" + reals("", ""), not: "min_up", lost: []string{`quorum: "two" is not a number`}},
		{name: "nobody", conf: sorry + "quorum 2\n", not: "min_up"},
		{name: "for nothing", conf: "quorum 2\n" + reals("", ""), want: "# min_up = 2", told: "without a sorry_server it changes nothing"},
		{name: "for programs", conf: "quorum 2\nquorum_down /bin/sorry\n" + reals("", ""), want: "# min_up = 2\nvirtual_down = [\"/bin/sorry\"]", lost: []string{"when no real server is up"}},
		{name: "of a bad fallback", conf: "sorry_server x 80\nquorum 2\n" + reals("", ""), want: "# min_up = 2", lost: []string{"not the address"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, fmt.Sprintf(oneVirtual, c.conf)) })
	}
}
