package api

import (
	"io"
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
	err         error // the first one; nothing is written after it
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

// family begins a metric family. OpenMetrics names a counter's family without
// the suffix that its samples have.
func (e *exposition) family(name string, k kind, help string) {
	if e.openMetrics && k == counter {
		name = strings.TrimSuffix(name, "_total")
	}
	e.buf = append(e.buf, "# HELP "...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, help...) // ours: needs no escaping
	e.buf = append(e.buf, "\n# TYPE "...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, ' ')
	e.buf = append(e.buf, k...)
	e.buf = append(e.buf, '\n')
}

// sample writes one value; labels come as name, value, name, value.
func (e *exposition) sample(name string, value uint64, labels ...string) {
	e.series(name, labels)
	e.buf = strconv.AppendUint(e.buf, value, 10)
	e.end()
}

func (e *exposition) series(name string, labels []string) {
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
	e.byLabel("ipvsd_kernel_drift_total", "Differences found in the kernel's table that ipvsd hadn't made, by kind.", "kind", st.Kernel.Drifts)
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
	if len(values) == 0 {
		return
	}
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	e.family(name, counter, help)
	for _, key := range keys {
		e.sample(name, values[key], label, key)
	}
}

func (e *exposition) addresses(st *director.Status) {
	const present = "ipvsd_address_present"
	begun := false
	for i := range st.Addresses {
		a := &st.Addresses[i]
		if a.State == director.AddressElsewhere {
			continue // an alert on 0 must not fire on a standby, and 1 would be a lie
		}
		if !begun {
			e.family(present, gauge, "1 where the machine has the address that clients reach, 0 where it is missing. None where another director of the cluster holds it.")
			begun = true
		}
		e.sample(present, truth(a.State != director.AddressMissing), "address", a.Address, "interface", a.Interface)
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
