package config

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/ipvsd/ipvsd/checker"
	"github.com/ipvsd/ipvsd/director/table"
)

// Diff says in plain words what a reload changes, a line each. Virtual services
// and real servers are compared by their identity, not by their place in the
// file. It returns nothing where the two mean the same.
func Diff(before, after *Config) []string {
	out := changes("", globals(before), globals(after))
	out = append(out, diffCluster(before.Cluster, after.Cluster)...)
	out = append(out, diffGroups(before.Groups, after.Groups)...)
	out = append(out, diffVIPs(before.VIPs, after.VIPs)...)
	out = append(out, diffVirtuals(before.Virtuals, after.Virtuals)...)
	return append(out, diffTold(before, after)...)
}

// setting is one setting with its value in words.
type setting struct{ name, value string }

// changes compares the settings of one thing. The two lists have the same
// names in the same order. A value that may be secret is told as changed only.
func changes(prefix string, before, after []setting) []string {
	var out []string
	for i, b := range before {
		switch a := after[i]; {
		case a.value == b.value:
		case a.name == headersChanged:
			out = append(out, prefix+a.name)
		default:
			out = append(out, fmt.Sprintf("%s%s %s -> %s", prefix, a.name, b.value, a.value))
		}
	}
	return out
}

func globals(c *Config) []setting {
	return append([]setting{
		{"[http] listen", strconv.Quote(c.HTTP.Listen)},
		{"[director] clean_stop", fmt.Sprint(c.Director.CleanStop)},
		{"[director] autoreload", fmt.Sprint(c.Director.AutoReload)},
		{"[director] state_dir", c.Director.StateDir},
		{"[director] removal_grace", c.Director.RemovalGrace.String()},
		{"[director] maintenance_dir", strconv.Quote(c.Director.MaintenanceDir)},
		{"[director] check_marks", fmt.Sprintf("%#x", c.Director.CheckMarks)},
		{"[sysctl] manage", fmt.Sprint(c.Sysctl.Manage)},
	}, toldGlobally(c)...)
}

func diffVIPs(before, after []VIP) []string {
	byAddr := func(v VIP) netip.Addr { return v.Address.Addr() }
	return diffKeyed(before, after, byAddr,
		func(v VIP) string { return fmt.Sprintf("vip %s removed", v.Address) },
		func(v VIP) string { return fmt.Sprintf("vip %s added on %s", v.Address, v.Interface) },
		func(b, a VIP) []string {
			return changes(fmt.Sprintf("vip %s: ", a.Address.Addr()),
				[]setting{{"prefix length", fmt.Sprint(b.Address.Bits())}, {"interface", b.Interface}},
				[]setting{{"prefix length", fmt.Sprint(a.Address.Bits())}, {"interface", a.Interface}})
		})
}

// diffKeyed compares two lists by identity: what is gone first, then in the
// new order what is new or different.
func diffKeyed[T any, K comparable](before, after []T, key func(T) K, removed, added func(T) string, changed func(b, a T) []string) []string {
	var out []string
	old, current := make(map[K]T, len(before)), make(map[K]bool, len(after))
	for _, a := range after {
		current[key(a)] = true
	}
	for _, b := range before {
		old[key(b)] = b
		if !current[key(b)] {
			out = append(out, removed(b))
		}
	}
	for _, a := range after {
		if b, ok := old[key(a)]; ok {
			out = append(out, changed(b, a)...)
		} else {
			out = append(out, added(a))
		}
	}
	return out
}

func diffVirtuals(before, after []Virtual) []string {
	return diffKeyed(before, after,
		func(v Virtual) table.ServiceKey { return v.Service.ServiceKey },
		func(v Virtual) string { return fmt.Sprintf("virtual %s removed (%s)", v.Name, v.Service.ServiceKey) },
		func(v Virtual) string {
			return fmt.Sprintf("virtual %s added (%s, real servers: %d)", v.Name, v.Service.ServiceKey, len(v.Reals))
		}, diffVirtual)
}

func diffVirtual(before, after Virtual) []string {
	prefix := fmt.Sprintf("virtual %s: ", after.Name)
	out := changes(prefix, virtualSettings(before), virtualSettings(after))
	out = append(out, changes(prefix, poolSettings(before), poolSettings(after))...)
	real := func(r Real) string { return fmt.Sprintf("%sreal %s", prefix, r.Addr) }
	common := commonChecks(before, after)
	for _, c := range common {
		out = append(out, prefix+c)
	}
	return append(out, diffKeyed(before.Reals, after.Reals,
		func(r Real) netip.AddrPort { return r.Addr },
		func(r Real) string { return real(r) + " removed" },
		func(r Real) string { return fmt.Sprintf("%s added, weight %d", real(r), r.Weight) },
		func(b, a Real) []string {
			own := changes(real(a)+": ", realSettings(b.Real), realSettings(a.Real))
			own = append(own, changes(real(a)+": ", shareSettings(b), shareSettings(a))...)
			for _, c := range changes("", checkSettings(b), checkSettings(a)) {
				if !slices.Contains(common, c) {
					own = append(own, real(a)+": "+c)
				}
			}
			return own
		})...)
}

// commonChecks returns the changes of the check that all real servers share
// that are in both files.
func commonChecks(before, after Virtual) []string {
	var common []string
	first := true
	diffKeyed(before.Reals, after.Reals,
		func(r Real) netip.AddrPort { return r.Addr },
		func(Real) string { return "" },
		func(Real) string { return "" },
		func(b, a Real) []string {
			these := changes("", checkSettings(b), checkSettings(a))
			if first {
				common, first = these, false
			}
			common = slices.DeleteFunc(common, func(c string) bool { return !slices.Contains(these, c) })
			return nil
		})
	return common
}

func virtualSettings(v Virtual) []setting {
	s := v.Service
	fallback := "none"
	if v.Fallback != nil {
		fallback = fmt.Sprintf("%s (%s)", v.Fallback.Addr, v.Fallback.Forward)
	}
	return []setting{
		{"name", v.Name},
		{"scheduler", s.Scheduler},
		{"scheduler flags", fmt.Sprintf("%#x", uint32(s.Flags&^table.OnePacket))},
		{"one_packet", fmt.Sprint(s.Flags&table.OnePacket != 0)},
		{"persistence", fmt.Sprintf("%ds", s.Timeout)},
		{"persistence_netmask", fmt.Sprint(s.PrefixLen)},
		{"persistence_engine", strconv.Quote(s.PE)},
		{"quiescent", fmt.Sprint(v.Quiescent)},
		{"fallback", fallback},
	}
}

func realSettings(r table.Real) []setting {
	return []setting{
		{"forward", r.Forward.String()},
		{"weight", fmt.Sprint(r.Weight)},
		{"upper_threshold", fmt.Sprint(r.Upper)},
		{"lower_threshold", fmt.Sprint(r.Lower)},
		{"tunnel", fmt.Sprintf("%s port %d flags %d", tunnelType(r.Tunnel.Type), r.Tunnel.Port, r.Tunnel.Flags)},
	}
}

func tunnelType(t uint8) string {
	if int(t) < len(tunnelTypes) {
		return tunnelTypes[t]
	}
	return fmt.Sprint(t)
}

// headersChanged is told without the headers, which may hold credentials.
const headersChanged = "check headers changed"

func checkSettings(r Real) []setting {
	c := r.Check
	minTLS := "default"
	if c.MinTLS != 0 {
		minTLS = tls.VersionName(c.MinTLS)
	}
	return []setting{
		{"check type", string(c.Type)},
		{"check protocol", strconv.Quote(c.Protocol)},
		{"check path", pathWord(c)},
		{"check target", checkTarget(c)},
		{"check interval", c.Interval.String()},
		{"check timeout", c.Timeout.String()},
		{"check rise", fmt.Sprint(r.Rise)},
		{"check fall", fmt.Sprint(r.Fall)},
		{"check request", strconv.Quote(c.Request)},
		{"check receive", strconv.Quote(c.Receive)},
		{"check login", strconv.Quote(c.Login)},
		{"check password_file", strconv.Quote(c.PasswordFile)},
		{"check secret_file", strconv.Quote(c.SecretFile)},
		{"check database", strconv.Quote(c.Database)},
		{"check send", strconv.Quote(c.Send)},
		{"check expect", strconv.Quote(c.Expect)},
		{"check connect_ratio", fmt.Sprint(c.Ratio)},
		{"check method", strconv.Quote(c.Method)},
		{"check virtualhost", strconv.Quote(c.VirtualHost)},
		{"check status", strconv.Quote(statusWords(c))},
		{headersChanged, c.Headers},
		{"check follow_redirects", fmt.Sprint(c.Follow)},
		{"check json_field", strconv.Quote(c.JSONField)},
		{"check json_value", strconv.Quote(c.JSONValue)},
		{"check record", strconv.Quote(c.Record)},
		{"check grpc_service", strconv.Quote(c.GRPCService)},
		{"check tls", fmt.Sprint(c.TLS)},
		{"check starttls", fmt.Sprint(c.StartTLS)},
		{"check server_name", strconv.Quote(c.ServerName)},
		{"check ca_file", strconv.Quote(c.CAFile)},
		{"check verify", fmt.Sprint(!c.Insecure)},
		{"check min_tls", minTLS},
		{"check client_cert", strconv.Quote(c.ClientCert)},
		{"check client_key", strconv.Quote(c.ClientKey)},
		{"check min_days", fmt.Sprint(c.MinDays)},
		{"check command", programWords(c.Command)},
		{"check's virtual service", c.VirtualName},
		{"check's virtual address", c.Virtual},
		{"check's virtual port", fmt.Sprint(c.VPort)},
		{"check's real port", fmt.Sprint(c.RPort)},
	}
}

// statusWords prints the accepted status codes with their default.
func statusWords(c checker.Spec) string {
	if c.Status == "" && (c.Type == checker.HTTP || c.Type == checker.HTTPS) {
		return "200-299"
	}
	return c.Status
}
