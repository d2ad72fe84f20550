package api

import (
	"cmp"

	"github.com/ipvsd/ipvsd/director"
)

// virtualFamily is a metric with one series for each virtual service.
type virtualFamily struct {
	name   string
	kind   kind
	help   string
	kernel bool // the value comes from the kernel's table
	value  func(*director.VirtualStatus) uint64
}

var virtualFamilies = []virtualFamily{
	{
		"ipvsd_virtual_up", gauge, "1 while a real server of the virtual service is up.", false,
		func(v *director.VirtualStatus) uint64 { return truth(v.Up) },
	},
	{
		"ipvsd_virtual_fallback", gauge, "1 while the fallback has the virtual service's traffic.", false,
		func(v *director.VirtualStatus) uint64 { return truth(v.Fallback) },
	},
	{
		"ipvsd_virtual_fail_open", gauge, "1 while so many real servers fail at once that fail_open keeps them in.", false,
		func(v *director.VirtualStatus) uint64 { return truth(v.FailOpen != "") },
	},
	{
		"ipvsd_virtual_connections_total", counter, "Connections that the kernel scheduled for the virtual service.", true,
		func(v *director.VirtualStatus) uint64 { return v.Counters.Connections },
	},
	{
		"ipvsd_virtual_packets_in_total", counter, "Packets from clients to the virtual service.", true,
		func(v *director.VirtualStatus) uint64 { return v.Counters.PacketsIn },
	},
	{
		"ipvsd_virtual_packets_out_total", counter, "Packets back to clients that passed the director; none with dr and tun.", true,
		func(v *director.VirtualStatus) uint64 { return v.Counters.PacketsOut },
	},
	{
		"ipvsd_virtual_bytes_in_total", counter, "Bytes from clients to the virtual service.", true,
		func(v *director.VirtualStatus) uint64 { return v.Counters.BytesIn },
	},
	{
		"ipvsd_virtual_bytes_out_total", counter, "Bytes back to clients that passed the director; none with dr and tun.", true,
		func(v *director.VirtualStatus) uint64 { return v.Counters.BytesOut },
	},
}

// realFamily is a metric with one series for each real server.
type realFamily struct {
	name  string
	kind  kind
	help  string
	of    func(*director.RealStatus) bool // which real servers have it; nil: all
	value func(*director.RealStatus) uint64
}

var realFamilies = []realFamily{
	{
		"ipvsd_real_server_up", gauge, "1 if the real server's last verdict is up, 0 if it is down or not there yet. Without checks: 1 if the kernel gives it traffic.",
		configured, up,
	},
	{
		"ipvsd_real_server_draining", gauge, "1 while an operator's drain waits for the real server's connections to end.", configured,
		func(r *director.RealStatus) uint64 { return truth(r.State == director.StateDraining) },
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

func inKernel(r *director.RealStatus) bool { return r.InKernel }

// configured leaves out the fallback and what left the file: an alert on "not
// up" must not fire for them.
func configured(r *director.RealStatus) bool {
	return r.State != director.StateFallback && r.State != director.StateLeaving
}

// up is the check's verdict, also where a person holds the real server back.
func up(r *director.RealStatus) uint64 {
	switch cmp.Or(r.Verdict, r.State) {
	case director.StateUnchecked:
		return truth(r.InKernel && r.Weight > 0)
	case director.StateUp:
		return 1
	}
	return 0
}

func (e *exposition) virtuals(st *director.Status) {
	if len(st.Virtuals) == 0 {
		return
	}
	for _, f := range virtualFamilies {
		if f.kernel && st.Kernel.ReadError != "" {
			continue
		}
		e.family(f.name, f.kind, f.help)
		for i := range st.Virtuals {
			v := &st.Virtuals[i]
			e.sample(f.name, f.value(v), "virtual", v.Name)
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
		begun := false // a family without a series isn't written
		for i := range st.Virtuals {
			v := &st.Virtuals[i]
			for j := range v.Reals {
				r := &v.Reals[j]
				if f.of != nil && !f.of(r) {
					continue
				}
				if !begun {
					e.family(f.name, f.kind, f.help)
					begun = true
				}
				e.sample(f.name, f.value(r), "virtual", v.Name, "real", r.Address)
			}
		}
	}
}

// checks writes what was checked and, for real servers in which something
// changed, since when.
func (e *exposition) checks(st *director.Status) {
	const checks = "ipvsd_checks_total"
	begun := false
	for i := range st.Virtuals {
		v := &st.Virtuals[i]
		for j := range v.Reals {
			r := &v.Reals[j]
			if r.Check.Type == "" || cmp.Or(r.Verdict, r.State) == director.StateUnchecked {
				continue
			}
			if !begun {
				e.family(checks, counter, "Checks of a real server, by result: ok, failed.")
				begun = true
			}
			e.sample(checks, r.Check.Good, "virtual", v.Name, "real", r.Address, "result", "ok")
			e.sample(checks, r.Check.Bad, "virtual", v.Name, "real", r.Address, "result", "failed")
		}
	}

	const changed = "ipvsd_real_server_state_since_timestamp_seconds"
	begun = false
	for i := range st.Virtuals {
		v := &st.Virtuals[i]
		for j := range v.Reals {
			r := &v.Reals[j]
			if r.Since.IsZero() {
				continue
			}
			if !begun {
				e.family(changed, gauge, "When the real server's state began, in Unix time.")
				begun = true
			}
			e.sample(changed, seconds(r.Since), "virtual", v.Name, "real", r.Address)
		}
	}
}
