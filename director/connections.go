package director

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"time"

	"github.com/ipvsd/ipvsd/director/config"
	"github.com/ipvsd/ipvsd/director/ipvs/syncd"
	"github.com/ipvsd/ipvsd/director/table"
)

// connections counts established connections, the real servers spread over so
// many counts as one message has room for. Both directors spread them alike.
type connections [256]uint32

func bucketOf(p table.Pair) uint32 {
	h := fnv.New32a()
	h.Write([]byte(p.String()))
	return h.Sum32() % uint32(len(connections{}))
}

func (c *connections) encode() []byte {
	b := []byte{askConnections}
	for _, n := range c {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

var errOdd = errors.New("its answer isn't understood; does it run another version?")

func decodeConnections(b []byte) (c connections, err error) {
	if len(b) != 1+4*len(c) || b[0] != askConnections {
		return c, errOdd
	}
	for i := range c {
		c[i] = binary.BigEndian.Uint32(b[1+4*i:])
	}
	return c, nil
}

// counts are the connections as syncd compares them.
func (c *connections) counts() map[int]syncd.Count {
	out := make(map[int]syncd.Count, len(c))
	for i, n := range c {
		out[i] = syncd.Count{Established: uint64(n)}
	}
	return out
}

// staleLook is the age from which a look says too much is young.
const staleLook = 4 * syncd.Delay

// connectionRecord knows which connections are old enough to have been told to
// a standby. Only one goroutine may use it.
type connectionRecord struct {
	read  func(context.Context, ...table.ServiceKey) (table.Have, error)
	looks []connectionLook // the oldest first
}

type connectionLook struct {
	at    time.Time
	total map[table.Pair]uint64 // since the entry was made
}

// look counts the connections of the file's virtual services, less those that
// may be younger than syncd.Delay as far as earlier looks tell: without one all
// are counted, which makes a standby look colder than it is.
func (r *connectionRecord) look(ctx context.Context, cfg *config.Config) (c connections, err error) {
	have, err := readConnections(ctx, r.read, cfg)
	if err != nil {
		return c, err
	}
	now := connectionLook{time.Now(), make(map[table.Pair]uint64, len(have))}
	for pair, counters := range have {
		now.total[pair] = counters.Conns
	}
	r.looks = append(r.looks, now)
	for len(r.looks) > 1 && (len(r.looks) > 2 && now.at.Sub(r.looks[1].at) >= syncd.Delay || now.at.Sub(r.looks[0].at) > staleLook) {
		r.looks = r.looks[1:]
	}
	before := r.looks[0]
	known := now.at.Sub(before.at) >= syncd.Delay
	for pair, counters := range have {
		n := counters.Active
		if total, ok := before.total[pair]; ok && known && counters.Conns >= total {
			n -= uint32(min(counters.Conns-total, uint64(n)))
		}
		c[bucketOf(pair)] += n
	}
	return c, nil
}

// readConnections reads the counters of the file's virtual services.
func readConnections(ctx context.Context, read func(context.Context, ...table.ServiceKey) (table.Have, error), cfg *config.Config) (map[table.Pair]table.Counters, error) {
	var keys []table.ServiceKey
	for _, v := range cfg.Virtuals {
		keys = append(keys, v.Service.ServiceKey)
	}
	have, err := read(ctx, keys...)
	return have.Reals, err
}
