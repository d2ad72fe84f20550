package api

import (
	"cmp"
	"slices"

	"github.com/ipvsd/ipvsd/director"
)

// virtualFamily is a metric with one series for each virtual service.
type virtualFamily struct {
	name  string
	kind  kind
	help  string
	of    func(*director.Status, *director.VirtualStatus) bool // which virtual services have it; nil: all
	value func(*director.VirtualStatus) uint64
}

var virtualFamilies = []virtualFamily{
	{
		"ipvsd_virtual_up", gauge, "1 while a real server of the virtual service is up or, where it isn't checked, gets traffic from the kernel.", judged,
		func(v *director.VirtualStatus) uint64 {
			return truth(v.Up || slices.ContainsFunc(v.Reals, func(r director.RealStatus) bool { return unchecked(&r) && up(&r) == 1 }))
		},
	},
	{
		"ipvsd_virtual_fallback", gauge, "1 while the fallback has the virtual service's traffic.", kernelRead,
		func(v *director.VirtualStatus) uint64 { return truth(v.Fallback) },
	},
	{
		"ipvsd_virtual_fail_open", gauge, "1 while so many real servers fail at once that fail_open keeps them in.", nil,
		func(v *director.VirtualStatus) uint64 { return truth(v.FailOpen != "") },
	},
	{
		"ipvsd_virtual_checks_overdue", gauge, "Real servers of the virtual service whose last check began longer ago than the interval, twice the timeout and 5 s together: their verdicts are old.", nil,
		func(v *director.VirtualStatus) (n uint64) {
			for i := range v.Reals {
				n += truth(v.Reals[i].Check.Overdue)
			}
			return n
		},
	},
	{
		"ipvsd_virtual_connections_total", counter, "Connections that the kernel scheduled for the virtual service.", kernelRead,
		func(v *director.VirtualStatus) uint64 { return v.Counters.Connections },
	},
	{
		"ipvsd_virtual_packets_in_total", counter, "Packets from clients to the virtual service.", kernelRead,
		func(v *director.VirtualStatus) uint64 { return v.Counters.PacketsIn },
	},
	{
		"ipvsd_virtual_packets_out_total", counter, "Packets back to clients that passed the director; none with dr and tun.", kernelRead,
		func(v *director.VirtualStatus) uint64 { return v.Counters.PacketsOut },
	},
	{
		"ipvsd_virtual_bytes_in_total", counter, "Bytes from clients to the virtual service.", kernelRead,
		func(v *director.VirtualStatus) uint64 { return v.Counters.BytesIn },
	},
	{
		"ipvsd_virtual_bytes_out_total", counter, "Bytes back to clients that passed the director; none with dr and tun.", kernelRead,
		func(v *director.VirtualStatus) uint64 { return v.Counters.BytesOut },
	},
}

// realFamily is a metric with one series for each real server.
type realFamily struct {
	name  string
	kind  kind
	help  string
	of    func(*director.Status, *director.RealStatus) bool // which real servers have it; nil: all
	value func(*director.RealStatus) uint64
}

var realFamilies = []realFamily{
	{
		"ipvsd_real_server_up", gauge, "1 if the real server's last verdict is up, 0 if it is down or not there yet. Without checks: 1 if the kernel gives it traffic.",
		verdict, up,
	},
	{
		"ipvsd_real_server_draining", gauge, "1 while an operator's drain waits for the real server's connections to end.", configured,
		func(r *director.RealStatus) uint64 { return truth(r.State == director.StateDraining) },
	},
	{
		"ipvsd_real_server_drain_deadline_timestamp_seconds", gauge, "When the drain takes the real server out at the latest, in Unix time. None where no drain with a deadline is under way.", hasDeadline,
		func(r *director.RealStatus) uint64 { return seconds(*r.Hold.Deadline) },
	},
	{
		"ipvsd_real_server_disabled", gauge, "1 while a person keeps the real server out: drained, disabled, or by a file in maintenance_dir.", configured,
		func(r *director.RealStatus) uint64 {
			return truth(r.State == director.StateDrained || r.State == director.StateDisabled || r.State == director.StateMaintenance)
		},
	},
	{
		"ipvsd_real_server_configured_weight", gauge, "The real server's weight in the file.", configured,
		func(r *director.RealStatus) uint64 { return uint64(r.Configured) },
	},
	{
		"ipvsd_real_server_damped", gauge, "1 while the real server is up and gets no traffic because it flaps.", configured,
		func(r *director.RealStatus) uint64 { return truth(r.Damped) },
	},
	{
		"ipvsd_real_server_state_since_timestamp_seconds", gauge, "When the real server's state began, in Unix time. None where that isn't known.",
		func(_ *director.Status, r *director.RealStatus) bool { return !r.Since.IsZero() },
		func(r *director.RealStatus) uint64 { return seconds(r.Since) },
	},
	{
		"ipvsd_certificate_expiry_timestamp_seconds", gauge, "When the first of the certificates expires that the real server's check was shown last, in Unix time. None where its check sees none.",
		func(_ *director.Status, r *director.RealStatus) bool { return r.Check.CertUntil != nil },
		func(r *director.RealStatus) uint64 { return seconds(*r.Check.CertUntil) },
	},
}

// kernelFamilies are the realFamilies whose values come from the kernel's table.
var kernelFamilies = []realFamily{
	{
		"ipvsd_real_server_weight", gauge, "The real server's weight in the kernel now; 0 is quiescent, and also where the kernel doesn't have it.", nil,
		func(r *director.RealStatus) uint64 { return uint64(r.Weight) },
	},
	{
		"ipvsd_real_server_active_connections", gauge, "Established connections to the real server.", nil,
		func(r *director.RealStatus) uint64 { return uint64(r.Active) },
	},
	{
		"ipvsd_real_server_inactive_connections", gauge, "Connections to the real server that aren't established: beginning, ending, or without states as in UDP.", nil,
		func(r *director.RealStatus) uint64 { return uint64(r.Inactive) },
	},
	{
		"ipvsd_real_server_connections_total", counter, "Connections that the kernel scheduled to the real server since it was put in.", inKernel,
		func(r *director.RealStatus) uint64 { return r.Counters.Connections },
	},
	{
		"ipvsd_real_server_packets_in_total", counter, "Packets from clients to the real server since it was put in.", inKernel,
		func(r *director.RealStatus) uint64 { return r.Counters.PacketsIn },
	},
	{
		"ipvsd_real_server_packets_out_total", counter, "Packets from the real server to clients that passed the director; none with dr and tun.", inKernel,
		func(r *director.RealStatus) uint64 { return r.Counters.PacketsOut },
	},
	{
		"ipvsd_real_server_bytes_in_total", counter, "Bytes from clients to the real server since it was put in.", inKernel,
		func(r *director.RealStatus) uint64 { return r.Counters.BytesIn },
	},
	{
		"ipvsd_real_server_bytes_out_total", counter, "Bytes from the real server to clients that passed the director; none with dr and tun.", inKernel,
		func(r *director.RealStatus) uint64 { return r.Counters.BytesOut },
	},
}

func inKernel(_ *director.Status, r *director.RealStatus) bool { return r.InKernel }

func kernelRead(st *director.Status, _ *director.VirtualStatus) bool {
	return st.Kernel.ReadError == ""
}

// configured leaves out the fallback and what left the file: an alert on "not
// up" must not fire for them.
func configured(_ *director.Status, r *director.RealStatus) bool {
	return r.State != director.StateFallback && r.State != director.StateLeaving
}

// verdict leaves out who isn't checked, too, where the kernel wasn't read: whether
// it has traffic isn't known then.
func verdict(st *director.Status, r *director.RealStatus) bool {
	return configured(st, r) && (st.Kernel.ReadError == "" || !unchecked(r))
}

// judged leaves out virtual services of which only such real servers could be up.
func judged(st *director.Status, v *director.VirtualStatus) bool {
	return v.Up || st.Kernel.ReadError == "" || !slices.ContainsFunc(v.Reals, func(r director.RealStatus) bool { return unchecked(&r) })
}

func hasDeadline(_ *director.Status, r *director.RealStatus) bool {
	return r.State == director.StateDraining && r.Hold != nil && r.Hold.Deadline != nil
}

func unchecked(r *director.RealStatus) bool {
	return cmp.Or(r.Verdict, r.State) == director.StateUnchecked
}

// up is the check's verdict, also where a person holds the real server back.
func up(r *director.RealStatus) uint64 {
	if unchecked(r) {
		return truth(r.InKernel && r.Weight > 0)
	}
	return truth(cmp.Or(r.Verdict, r.State) == director.StateUp)
}

func (e *exposition) virtuals(st *director.Status) {
	for _, f := range virtualFamilies {
		e.family(f.name, f.kind, f.help)
		for i := range st.Virtuals {
			if v := &st.Virtuals[i]; f.of == nil || f.of(st, v) {
				e.sample(f.name, f.value(v), "virtual", v.Name)
			}
		}
	}
}

func (e *exposition) reals(st *director.Status) {
	e.realFamilies(st, realFamilies)
	if st.Kernel.ReadError == "" {
		e.realFamilies(st, kernelFamilies)
	}
}

func (e *exposition) realFamilies(st *director.Status, families []realFamily) {
	for _, f := range families {
		e.family(f.name, f.kind, f.help)
		for i := range st.Virtuals {
			v := &st.Virtuals[i]
			for j := range v.Reals {
				if r := &v.Reals[j]; f.of == nil || f.of(st, r) {
					e.sample(f.name, f.value(r), "virtual", v.Name, "real", r.Address)
				}
			}
		}
	}
}

// checks writes what was checked.
func (e *exposition) checks(st *director.Status) {
	const checks = "ipvsd_checks_total"
	e.family(checks, counter, "Checks of a real server, by result: ok, failed, void (it could not be made, for a want of the director's own such as descriptors: it counts for nothing).")
	for i := range st.Virtuals {
		v := &st.Virtuals[i]
		for j := range v.Reals {
			r := &v.Reals[j]
			if r.Check.Type == "" || unchecked(r) {
				continue
			}
			e.sample(checks, r.Check.Good, "virtual", v.Name, "real", r.Address, "result", "ok")
			e.sample(checks, r.Check.Bad, "virtual", v.Name, "real", r.Address, "result", "failed")
			e.sample(checks, r.Check.Void, "virtual", v.Name, "real", r.Address, "result", "void")
		}
	}
}
