package scenario

import "testing"

// differences are all that the two tables may differ in, and why that is right.
// All come of odd.cf; the importer has a note for each.
var differences = []difference{
	{
		theirs: []string{"-a -t 192.168.0.112:110 -r 192.168.0.101:110 -g -w 1"},
		why:    "its pop check is always good without a login, even where nothing listens; ipvsd wants a greeting",
	},
	{
		ours: []string{"-a -t 192.168.0.112:2 -r 192.168.0.101:2 -g -w 1"},
		why:  "it takes a checkcommand with arguments for one path, and the server is always down; ipvsd runs it",
	},
	{
		ours: []string{"-A -t 192.168.0.112:4 -s wrr", "-a -t 192.168.0.112:4 -r 192.168.0.101:4 -g -w 1"},
		why:  "there is no scheduler of that name, and the service is never there; ipvsd has it with the default",
	},
	{
		ours: []string{
			"-a -t 192.168.0.112:6 -r 192.168.0.102:6 -g -w 1",
			"TCP 192.168.0.112:6 192.168.0.102:6 upper 90 lower 10",
		},
		why: "it reads only the lower threshold, and ipvsadm refuses that without an upper one, so the server is never there; ipvsd has both",
	},
	{
		ours: []string{"-a -t 192.168.0.112:7 -r 192.168.0.104:7 -g -w 1"},
		why:  "a server of weight 0 is up for it, and so nobody serves; ipvsd has the fallback as long as there is no weight",
	},
	{
		theirs: []string{"-a -t 192.168.0.112:80 -r 192.168.0.103:80 -m -w 1"},
		why:    "it forgets a server's own text to receive when the request before it begins with a /",
	},
	{
		ours: []string{"-a -t 192.168.0.113:81 -r 192.168.0.104:81 -g -w 0"},
		why:  "at its start it remembers a dead server for one service only; quiescent=yes, and so it belongs into both at weight 0",
	},
}

// TestImport runs the real ldirectord on files, and on another host one ipvsd
// with what the importer made of them all, before the same real servers. Some of
// those are dead when ldirectord starts; then others die and the dead come back.
// Each time both kernels end up with the same table, but for differences.
func TestImport(t *testing.T) {
	b := newBeside(t)
	files := b.files()
	b.ipvsd(files)
	b.handOver("192.168.0.112:4", "192.168.0.112:6", "192.168.0.113:80", "192.168.0.113:81")

	b.webs[1].kill()
	b.echos[2].Close()
	b.pings(0, false)
	b.webs[2].page("This is web3, without what is looked for\n")
	b.alive(0, false)
	for _, f := range files {
		b.ldirectord(f)
	}
	b.same("some are dead")
	first := b.table(b.ours)

	b.webs[0].kill()
	b.webs[1].start()
	b.webs[2].page(b.webs[2].text)
	b.echos[2].Reopen()
	b.echos[0].Close()
	b.pings(0, true)
	b.pings(1, false)
	b.alive(0, true)
	b.alive(1, false)
	b.same("others died, and the dead are back")
	changed, _ := unlike(first, b.table(b.ours))
	t.Logf("%d lines; %d of them were others before", len(first), len(changed))
	if len(changed) < len(first)/10 {
		t.Errorf("only %d of %d lines changed", len(changed), len(first))
	}
	for i, d := range differences {
		if !b.seen[i] {
			t.Errorf("a difference that isn't there: ldirectord %q, ipvsd %q, because %s", d.theirs, d.ours, d.why)
		}
	}
}
