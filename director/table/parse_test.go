package table_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipvsd/ipvsd/director/table"
)

// parseStep reads what Step.String prints: ipvsadm's syntax.
func parseStep(line string) (s table.Step, err error) {
	args := strings.Fields(line)
	ops := map[string]table.Op{
		"-A": table.AddService, "-E": table.EditService, "-D": table.DeleteService,
		"-a": table.AddReal, "-e": table.EditReal, "-d": table.DeleteReal,
	}
	if len(args) == 0 || ops[args[0]] == 0 {
		return s, fmt.Errorf("no command in %q", line)
	}
	s.Op = ops[args[0]]
	for i := 1; i < len(args); i++ {
		value := ""
		if !slices.Contains([]string{"-6", "-o", "-g", "-m", "-i", "--tun-csum", "--tun-remcsum"}, args[i]) {
			if i+1 == len(args) {
				return s, fmt.Errorf("%s lacks its value in %q", args[i], line)
			}
			value = args[i+1]
		}
		if err := option(&s, args[i], value); err != nil {
			return s, fmt.Errorf("%q: %w", line, err)
		}
		if value != "" {
			i++
		}
	}
	if s.Op == table.AddService || s.Op == table.EditService {
		s.Service = s.Service.Normal()
	}
	return s, nil
}

func option(s *table.Step, name, value string) (err error) {
	v, r := &s.Service, &s.Real
	n, _ := strconv.ParseUint(value, 10, 32)
	addr := func() (a netip.AddrPort) {
		a, err = netip.ParseAddrPort(value)
		return a
	}
	switch name {
	case "-t":
		v.ServiceKey = table.ByAddr(table.TCP, addr())
	case "-u":
		v.ServiceKey = table.ByAddr(table.UDP, addr())
	case "--sctp-service":
		v.ServiceKey = table.ByAddr(table.SCTP, addr())
	case "-f":
		v.ServiceKey = table.ByMark(table.IPv4, uint32(n))
	case "-6":
		v.Family = table.IPv6
	case "-s":
		v.Scheduler = value
	case "-p":
		v.Timeout, v.PrefixLen = uint32(n), v.Normal().PrefixLen
	case "-M":
		v.PrefixLen = uint8(n)
		if m, err := netip.ParseAddr(value); err == nil {
			b := m.As4()
			v.PrefixLen, _ = table.PrefixLen(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
		}
	case "-o":
		v.Flags |= table.OnePacket
	case "-b":
		for _, f := range []table.Flags{table.Sched1, table.Sched2, table.Sched3} {
			if slices.Contains(strings.Split(value, ","), table.FlagNames(v.Scheduler, f)[0]) {
				v.Flags |= f
			}
		}
	case "--pe":
		v.PE = value
	default:
		return realOption(r, name, value, uint32(n))
	}
	return err
}

func realOption(r *table.Real, name, value string, n uint32) (err error) {
	switch name {
	case "-r":
		r.Addr, err = netip.ParseAddrPort(value)
	case "-g":
		r.Forward = table.DR
	case "-m":
		r.Forward = table.NAT
	case "-i":
		r.Forward = table.Tun
	case "-w":
		r.Weight = n
	case "-x":
		r.Upper = n
	case "-y":
		r.Lower = n
	case "--tun-type":
		r.Tunnel.Type = map[string]uint8{"gue": table.TunnelGUE, "gre": table.TunnelGRE}[value]
	case "--tun-port":
		r.Tunnel.Port = uint16(n)
	case "--tun-csum":
		r.Tunnel.Flags = table.TunnelChecksum
	case "--tun-remcsum":
		r.Tunnel.Flags = table.TunnelRemoteChecksum
	default:
		return fmt.Errorf("unknown option %s", name)
	}
	return err
}
