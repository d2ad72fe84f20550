package ipvs

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/ipvsd/ipvsd/director/kerneltest"
	"github.com/ipvsd/ipvsd/director/table"
)

// mustIpvsadm runs the real ipvsadm with the words of one line.
func mustIpvsadm(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.Command("ipvsadm", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ipvsadm %s: %v\n%s", line, err, out)
	}
	return string(out)
}

// randomState is a table that ipvsadm can describe: its weights end at 65535,
// and it doesn't know the kernel's name for every scheduler.
func randomState(r *rand.Rand) table.State {
	st := table.State{}
	for _, k := range randomKeys(r) {
		s := table.Service{ServiceKey: k, Scheduler: table.Schedulers[r.IntN(len(table.Schedulers)-1)]} // without twos
		s.Flags = table.Flags(r.IntN(8)) * table.Sched1
		if k.Protocol == 0 || k.Protocol == table.UDP {
			s.Flags |= table.Flags(r.IntN(2)) * table.OnePacket
		}
		if r.IntN(2) == 0 {
			s.Timeout, s.PrefixLen = 1+r.Uint32N(table.MaxTimeout), uint8(1+r.IntN(32))
			s.PE = []string{"", "sip"}[r.IntN(2)]
		}
		e := table.Entry{Service: s, Reals: map[netip.AddrPort]table.Real{}}
		for range r.IntN(5) {
			v := randomReal(r, k)
			e.Reals[v.Addr] = v
		}
		st[k] = e
	}
	return st
}

func randomKeys(r *rand.Rand) (ks []table.ServiceKey) {
	for range 1 + r.IntN(6) {
		f, a := table.IPv4, netip.MustParseAddr("192.0.2.10")
		if r.IntN(2) == 0 {
			f, a = table.IPv6, netip.MustParseAddr("2001:db8::10")
		}
		if r.IntN(4) == 0 {
			ks = append(ks, table.ByMark(f, 1+r.Uint32N(3)))
			continue
		}
		p := []table.Protocol{table.TCP, table.UDP, table.SCTP}[r.IntN(3)]
		ks = append(ks, table.ByAddr(p, netip.AddrPortFrom(a, uint16(80+r.IntN(2)))))
	}
	return ks
}

func randomReal(r *rand.Rand, k table.ServiceKey) table.Real {
	v := table.Real{
		Forward: []table.Forward{table.NAT, table.Tun, table.DR}[r.IntN(3)],
		Weight:  []uint32{0, 1, 100, 65535}[r.IntN(4)],
		Upper:   r.Uint32N(3) * 100,
	}
	v.Lower = v.Upper / 2
	port, f := k.Addr.Port(), k.Family
	switch v.Forward {
	case table.NAT:
		port += uint16(r.IntN(2)) * 8000
	case table.Tun:
		f = []table.Family{table.IPv4, table.IPv6}[r.IntN(2)]
		v.Tunnel = []table.Tunnel{
			{},
			{Type: table.TunnelGUE, Port: 6080},
			{Type: table.TunnelGUE, Port: 6080, Flags: table.TunnelChecksum},
			{Type: table.TunnelGUE, Port: 6080, Flags: table.TunnelRemoteChecksum},
			{Type: table.TunnelGRE},
			{Type: table.TunnelGRE, Flags: table.TunnelChecksum},
		}[r.IntN(6)]
	}
	a := netip.AddrFrom4([4]byte{10, 0, 0, byte(1 + r.IntN(4))})
	if f == table.IPv6 {
		a = netip.MustParseAddr(fmt.Sprintf("fd00::%d", 1+r.IntN(4)))
	}
	v.Addr = netip.AddrPortFrom(a, port)
	return v
}

// TestPrintedStepsMeanTheSame walks from one random table to the next, once by
// Do and once by the printed steps in the hands of the real ipvsadm.
func TestPrintedStepsMeanTheSame(t *testing.T) {
	tbl := mustOpen(t)
	r := rand.New(rand.NewPCG(1, 2))
	ctx := context.Background()
	for range 12 {
		a, b := randomState(r), randomState(r)
		states, saved := [2]table.State{}, [2]string{}
		for i, do := range []func(context.Context, []table.Step) []error{tbl.Do, byIpvsadm(t)} {
			mustFlush(t, tbl)
			table.Execute(ctx, nil, table.Plan(nil, a, all), tbl.Do)
			steps := table.Plan(a, b, all)
			if _, failed := table.Execute(ctx, a, steps, do); len(failed) > 0 {
				t.Fatalf("%v", failed)
			}
			have, err := tbl.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			states[i], saved[i] = have.State, mustIpvsadm(t, "-S -n")
		}
		if d := kerneltest.Diff(states[0], states[1]); d != "" {
			t.Fatalf("after Do (-) and after ipvsadm (+):\n%s", d)
		}
		if steps := table.Plan(states[0], b, all); len(steps) > 0 {
			t.Fatalf("still to do: %v", steps)
		}
		if len(strings.Split(saved[0], "\n")) != len(strings.Split(saved[1], "\n")) {
			t.Fatalf("ipvsadm -S after Do:\n%s\nafter ipvsadm:\n%s", saved[0], saved[1])
		}
	}
}

func byIpvsadm(t *testing.T) func(context.Context, []table.Step) []error {
	return func(_ context.Context, steps []table.Step) []error {
		for _, s := range steps {
			mustIpvsadm(t, s.String())
		}
		return make([]error, len(steps))
	}
}

// TestIpvsadmReadsBack compares what ipvsadm -S prints with our steps, where
// the two are spelled alike.
func TestIpvsadmReadsBack(t *testing.T) {
	tbl := mustOpen(t)
	want := []string{
		"-A -t 192.0.2.10:80 -s rr -p 300 -M 255.255.255.0",
		"-a -t 192.0.2.10:80 -r 10.0.0.11:80 -g -w 100",
		"-a -t 192.0.2.10:80 -r 10.0.0.12:80 -m -w 0",
		"-A -t [2001:db8::10]:443 -s wlc",
		"-a -t [2001:db8::10]:443 -r [fd00::11]:443 -i -w 65535",
	}
	for _, line := range want {
		mustIpvsadm(t, line)
	}
	have, err := tbl.Read(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var ours bytes.Buffer
	for _, s := range table.Plan(nil, have.State, all) {
		fmt.Fprintln(&ours, s)
	}
	for _, line := range want {
		if !strings.Contains(ours.String(), line+"\n") {
			t.Errorf("%q is missing in\n%s", line, &ours)
		}
	}
}
