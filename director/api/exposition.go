package api

import (
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ipvsd/ipvsd/director"
)

// exposition writes metric families in the text format or in OpenMetrics, with
// one buffer and without an allocation for a sample.
type exposition struct {
	w           io.Writer
	openMetrics bool
	buf         []byte
	next        head  // of the family whose first sample comes; without a name: none
	err         error // the first one; nothing is written after it
}

// head is what stands before the samples of a family.
type head struct {
	name string
	kind kind
	help string
}

const expositionBuffer = 32 << 10

func newExposition(w io.Writer, openMetrics bool) *exposition {
	return &exposition{w: w, openMetrics: openMetrics, buf: make([]byte, 0, expositionBuffer)}
}

// kind is a metric's type.
type kind string

const (
	counter kind = "counter"
	gauge   kind = "gauge"
)

var driftKinds = []string{"real_changed", "real_missing", "real_unexpected", "service_changed", "service_missing"}

// family begins a metric family. One to which no sample comes isn't written.
func (e *exposition) family(name string, k kind, help string) { e.next = head{name, k, help} }

// begin writes a family's head before its first sample. OpenMetrics names a
// counter's family without the suffix that its samples have.
func (e *exposition) begin() {
	h := e.next
	if h.name == "" {
		return
	}
	e.next = head{}
	if e.openMetrics && h.kind == counter {
		h.name = strings.TrimSuffix(h.name, "_total")
	}
	e.buf = append(e.buf, "# HELP "...)
	e.buf = append(e.buf, h.name...)
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, h.help...) // ours: needs no escaping
	e.buf = append(e.buf, "\n# TYPE "...)
	e.buf = append(e.buf, h.name...)
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, h.kind...)
	e.buf = append(e.buf, '\n')
}

// sample writes one value; labels come as name, value, name, value.
func (e *exposition) sample(name string, value uint64, labels ...string) {
	e.series(name, labels)
	e.buf = strconv.AppendUint(e.buf, value, 10)
	e.end()
}

// ratio writes a value that isn't whole.
func (e *exposition) ratio(name string, value float64) {
	e.series(name, nil)
	e.buf = strconv.AppendFloat(e.buf, value, 'g', -1, 64)
	e.end()
}

func (e *exposition) series(name string, labels []string) {
	e.begin()
	e.buf = append(e.buf, name...)
	for i := 0; i+1 < len(labels); i += 2 {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		e.buf = append(e.buf, separator)
		e.buf = append(e.buf, labels[i]...)
		e.buf = append(e.buf, `="`...)
		e.buf = appendLabelValue(e.buf, labels[i+1])
		e.buf = append(e.buf, '"')
	}
	if len(labels) > 0 {
		e.buf = append(e.buf, '}')
	}
	e.buf = append(e.buf, ' ')
}

func (e *exposition) end() {
	e.buf = append(e.buf, '\n')
	if len(e.buf) > expositionBuffer-1<<10 {
		_ = e.flush() // kept in e.err
	}
}

func (e *exposition) flush() error {
	if e.err == nil && len(e.buf) > 0 {
		_, e.err = e.w.Write(e.buf)
	}
	e.buf = e.buf[:0]
	return e.err
}

// appendLabelValue escapes as both formats ask for; what is no UTF-8 would make
// the whole scrape invalid.
func appendLabelValue(buf []byte, value string) []byte {
	plain := true
	for i := range len(value) {
		if c := value[i]; c == '\\' || c == '"' || c == '\n' || c >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return append(buf, value...)
	}
	for _, r := range value { // a bad byte comes out as U+FFFD
		switch r {
		case '\\':
			buf = append(buf, `\\`...)
		case '"':
			buf = append(buf, `\"`...)
		case '\n':
			buf = append(buf, `\n`...)
		default:
			buf = utf8.AppendRune(buf, r)
		}
	}
	return buf
}

// status writes all families of a Status.
func (e *exposition) status(st *director.Status) {
	e.director(st)
	e.cluster(st.Cluster)
	e.addresses(st)
	e.virtuals(st)
	e.reals(st)
	e.checks(st)
}

func (e *exposition) director(st *director.Status) {
	e.one("ipvsd_ready", gauge, "1 once the kernel was programmed and every real server had its first verdict.", truth(st.Ready))
	e.one("ipvsd_cluster_active", gauge, "1 on the active director, which holds the addresses, 0 on a standby. A single director is always active.", truth(st.Active))

	if hash, ok := hashNumber(st.Config.Hash); ok {
		e.one("ipvsd_config_hash", gauge, "The first 48 bits of the running file's SHA-256, to compare directors and to see changes.", hash)
	}
	e.one("ipvsd_config_last_reload_successful", gauge, "1 unless the last reload was refused for errors in the file.", truth(st.Config.Error == ""))
	if !st.Config.Loaded.IsZero() {
		e.one("ipvsd_config_last_reload_success_timestamp_seconds", gauge, "When the running file was loaded, in Unix time.", seconds(st.Config.Loaded))
	}
	e.byLabel("ipvsd_reload_total", "Reloads of the file, by result: ok, refused.", "result", st.Config.Reloads)

	e.one("ipvsd_kernel_programmed", gauge, "1 once the kernel's whole table was as wanted.", truth(st.Kernel.Programmed))
	if !st.Kernel.Synced.IsZero() {
		e.one("ipvsd_kernel_synced_timestamp_seconds", gauge, "When the kernel's table was last seen to be as wanted, in Unix time.", seconds(st.Kernel.Synced))
	}
	drifts := map[string]uint64{} // from the start, so that a rate doesn't have to wait for the first one
	for _, kind := range driftKinds {
		drifts[kind] = 0
	}
	maps.Copy(drifts, st.Kernel.Drifts)
	e.byLabel("ipvsd_kernel_drift_total", "Differences found in the kernel's table that ipvsd hadn't made, by kind: service_missing, service_changed, real_missing, real_changed, real_unexpected. Each was repaired.", "kind", drifts)
	if st.Kernel.ReadError == "" {
		e.one("ipvsd_kernel_foreign_services", gauge, "Virtual services in the kernel that others made and ipvsd leaves alone.", uint64(max(st.Kernel.Foreign, 0)))
	}
}

func (e *exposition) one(name string, k kind, help string, value uint64) {
	e.family(name, k, help)
	e.sample(name, value)
}

// byLabel writes a counter family with one label, in the label's order.
func (e *exposition) byLabel(name, help, label string, values map[string]uint64) {
	e.family(name, counter, help)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		e.sample(name, values[key], label, key)
	}
}

// addressFamilies have one series for each address that is not another
// director's: an alert on 0 must not fire on a standby, and 1 would be a lie.
var addressFamilies = []struct {
	name  string
	kind  kind
	help  string
	value func(*director.AddressStatus) uint64
}{
	{
		"ipvsd_address_present", gauge, "1 where the machine has the address that clients reach, 0 where it is missing. None where another director of the cluster holds it.",
		func(a *director.AddressStatus) uint64 { return truth(a.State != director.AddressMissing) },
	},
	{
		"ipvsd_address_repaired_total", counter, "How often the address was put back after somebody else had removed it.",
		func(a *director.AddressStatus) uint64 { return a.Repaired },
	},
}

func (e *exposition) addresses(st *director.Status) {
	for _, f := range addressFamilies {
		e.family(f.name, f.kind, f.help)
		for i := range st.Addresses {
			if a := &st.Addresses[i]; a.State != director.AddressElsewhere {
				e.sample(f.name, f.value(a), "address", a.Address, "interface", a.Interface)
			}
		}
	}
}

// hashNumber is the start of a hexadecimal hash as a number that a float64
// holds exactly.
func hashNumber(hash string) (uint64, bool) {
	const digits = 12
	if len(hash) < digits {
		return 0, false
	}
	n, err := strconv.ParseUint(hash[:digits], 16, 64)
	return n, err == nil
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// seconds is Unix time.
func seconds(t time.Time) uint64 { return uint64(max(t.Unix(), 0)) }
