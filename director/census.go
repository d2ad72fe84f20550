package director

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/ipvsd/ipvsd/cluster/gossip"
)

// Census is what a director tells the others of its real servers.
type Census struct {
	Set      uint64 // of which real servers it is; others can't be compared
	Up, All  int
	Complete bool   // each has had its first verdict
	Faults   string // what lowers the director's priority, for people
}

// Other is another director with its census.
type Other struct {
	Name string
	Census
}

// The census on the wire: version 1 | complete 1 | set 8 | up 4 | all 4 | faults.
const (
	censusVersion = 1
	censusHead    = 1 + 1 + 8 + 4 + 4
)

func (c Census) encode() []byte {
	b := []byte{censusVersion, 0}
	if c.Complete {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint64(b, c.Set)
	b = binary.BigEndian.AppendUint32(b, uint32(c.Up))
	b = binary.BigEndian.AppendUint32(b, uint32(c.All))
	return append(b, cutText(c.Faults, gossip.MaxMeta-censusHead)...)
}

// cutText cuts a text to so many bytes, between characters.
func cutText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// decodeCensus is false where a director says nothing, or in another version.
func decodeCensus(b []byte) (Census, bool) {
	if len(b) < censusHead || b[0] != censusVersion || b[1] > 1 {
		return Census{}, false
	}
	return Census{
		Complete: b[1] == 1,
		Set:      binary.BigEndian.Uint64(b[2:]),
		Up:       int(binary.BigEndian.Uint32(b[10:])),
		All:      int(binary.BigEndian.Uint32(b[14:])),
		Faults:   strings.ToValidUTF8(string(b[censusHead:]), "\uFFFD"),
	}, true
}
