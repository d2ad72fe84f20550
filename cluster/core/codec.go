package core

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The wire format, big endian: version, kind, flags, boot id, sequence, a table
// of names of which the first is the sender's, and then by kind. Names are
// written once; elsewhere stands their place in the table, 255 for none.

var errFormat = errors.New("malformed message")

const noName = 255

const (
	flagPlanned  = 1
	flagOperator = 2
)

// Encode returns the message as bytes. It fails for what Decode would refuse.
func (m *Message) Encode() ([]byte, error) {
	e := encoder{b: make([]byte, 0, 512)}
	flags := byte(0)
	if m.Planned {
		flags |= flagPlanned
	}
	if m.Operator {
		flags |= flagOperator
	}
	if !m.Kind.known() || m.Kind.state() != (m.Advert != nil) || m.From == "" {
		return nil, fmt.Errorf("encode a %s message: %w", m.Kind, errFormat)
	}
	e.u8(Version, byte(m.Kind), flags)
	e.u64(m.Boot, m.Seq)
	e.name(m.From)
	if a := m.Advert; a != nil {
		e.names(a)
		e.table()
		e.advert(a)
	} else {
		e.name(m.Node)
		e.table()
		e.u32(uint32(m.Group), m.Term)
		e.u8(e.index(m.Node))
	}
	return e.b, e.err
}

type encoder struct {
	b    []byte
	list []string
	err  error
}

func (e *encoder) u8(v ...byte) { e.b = append(e.b, v...) }

func (e *encoder) u16(v ...uint16) {
	for _, v := range v {
		e.b = binary.BigEndian.AppendUint16(e.b, v)
	}
}

func (e *encoder) u32(v ...uint32) {
	for _, v := range v {
		e.b = binary.BigEndian.AppendUint32(e.b, v)
	}
}

func (e *encoder) u64(v ...uint64) {
	for _, v := range v {
		e.b = binary.BigEndian.AppendUint64(e.b, v)
	}
}

func (e *encoder) index(s string) byte {
	for i, n := range e.list {
		if n == s {
			return byte(i)
		}
	}
	return noName
}

// name puts a name into the table.
func (e *encoder) name(s string) {
	if s == "" || e.index(s) != noName {
		return
	}
	if len(s) > MaxName || len(e.list) >= noName-1 {
		e.err = fmt.Errorf("encode the name %q: %w", s, errFormat)
		return
	}
	e.list = append(e.list, s)
}

func (e *encoder) names(a *Advert) {
	for _, h := range a.Heard {
		e.name(h.Node)
	}
	for _, g := range a.Groups {
		e.name(g.Holder)
	}
}

func (e *encoder) table() {
	e.u8(byte(len(e.list)))
	for _, s := range e.list {
		e.u8(byte(len(s)))
		e.b = append(e.b, s...)
	}
}

func (e *encoder) advert(a *Advert) {
	if len(a.MACs) > maxMACs || len(a.Groups) > MaxGroups || len(a.Heard) > MaxPeers {
		e.err = fmt.Errorf("encode an advert of %d MACs, %d groups, %d directors: %w",
			len(a.MACs), len(a.Groups), len(a.Heard), errFormat)
		return
	}
	e.u16(a.Interval, a.Suspect, a.Dead, a.Fence)
	e.u8(byte(a.Flags), a.Directors, a.Reach, a.Witnesses)
	e.u64(a.Fingerprint)
	e.u8(byte(len(a.MACs)), byte(len(a.Groups)), byte(len(a.Heard)))
	for _, m := range a.MACs {
		e.b = append(e.b, m[:]...)
	}
	for _, g := range a.Groups {
		e.u32(uint32(g.ID))
		e.u8(byte(g.State), byte(g.Flags))
		e.u16(g.Priority)
		e.u32(g.Term)
		e.u8(e.index(g.Holder))
		e.u32(g.HolderTerm)
	}
	for _, h := range a.Heard {
		e.u8(e.index(h.Node))
		e.u16(h.Boot, h.Seq, h.Age)
	}
}

// Decode reads a message. What comes from the network is never trusted: sizes
// are checked, unknown versions, kinds and states refused.
func Decode(b []byte) (*Message, error) {
	d := decoder{b: b}
	if v := d.u8(); d.err == nil && v != Version {
		return nil, fmt.Errorf("message of version %d, not %d", v, Version)
	}
	m := &Message{Kind: Kind(d.u8())}
	flags := d.u8()
	m.Planned, m.Operator = flags&flagPlanned != 0, flags&flagOperator != 0
	d.check(m.Kind.known() && flags < 4)
	m.Boot, m.Seq = d.u64(), d.u64()
	d.table()
	m.From = d.list[0]
	if m.Kind.state() {
		m.Advert = d.advert()
	} else {
		m.Group, m.Term = GroupID(d.u32()), d.u32()
		m.Node = d.name()
	}
	d.check(len(d.b) == 0)
	if d.err != nil {
		return nil, d.err
	}
	return m, nil
}

type decoder struct {
	b    []byte
	list []string
	err  error
}

func (d *decoder) check(ok bool) {
	if !ok && d.err == nil {
		d.err = errFormat
	}
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || len(d.b) < n {
		d.check(false)
		return make([]byte, n)
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) u8() byte    { return d.take(1)[0] }
func (d *decoder) u16() uint16 { return binary.BigEndian.Uint16(d.take(2)) }
func (d *decoder) u32() uint32 { return binary.BigEndian.Uint32(d.take(4)) }
func (d *decoder) u64() uint64 { return binary.BigEndian.Uint64(d.take(8)) }

func (d *decoder) table() {
	n := int(d.u8())
	d.check(n > 0 && n < noName)
	for range n {
		size := int(d.u8())
		d.check(size > 0 && size <= MaxName)
		if d.err != nil {
			break
		}
		d.list = append(d.list, string(d.take(size)))
	}
	if len(d.list) == 0 {
		d.list = []string{""}
	}
}

func (d *decoder) name() string {
	i := int(d.u8())
	if i == noName {
		return ""
	}
	if i >= len(d.list) {
		d.check(false)
		return ""
	}
	return d.list[i]
}

func (d *decoder) advert() *Advert {
	a := &Advert{
		Interval: d.u16(), Suspect: d.u16(), Dead: d.u16(), Fence: d.u16(),
		Flags: Flags(d.u8()), Directors: d.u8(), Reach: d.u8(), Witnesses: d.u8(),
		Fingerprint: d.u64(),
	}
	macs, groups, heard := int(d.u8()), int(d.u8()), int(d.u8())
	d.check(macs <= maxMACs && groups <= MaxGroups && heard <= MaxPeers)
	if d.err != nil {
		return nil
	}
	for range macs {
		a.MACs = append(a.MACs, MAC(d.take(6)))
	}
	for range groups {
		g := GroupState{
			ID: GroupID(d.u32()), State: State(d.u8()), Flags: GroupFlags(d.u8()), Priority: d.u16(), Term: d.u32(),
			Holder: d.name(), HolderTerm: d.u32(),
		}
		d.check(g.State >= Init && g.State <= Faulty)
		a.Groups = append(a.Groups, g)
	}
	for range heard {
		h := Heard{Node: d.name(), Boot: d.u16(), Seq: d.u16(), Age: d.u16()}
		d.check(h.Node != "")
		a.Heard = append(a.Heard, h)
	}
	return a
}
