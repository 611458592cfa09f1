package replay

import (
	"cmp"
	"slices"
	"strings"

	"tlsratchet/internal/maillog"
	"tlsratchet/tlsstate"
)

// cell is the sessions of a key: when the first and the last began to send, in
// seconds, and how many there were.
type cell struct {
	key
	first, last        int64
	sessions, messages uint32
	// most is how many messages one session had. Unlike the counts it doesn't
	// grow if the log is there twice.
	most uint32
}

// key is what sessions of one day have in common.
type key struct {
	// client and kind are numbers.
	client, kind uint32
	day          tlsstate.Day
}

// kind is what a key says beside client and day. There are few.
type kind struct {
	listener      *maillog.Listener
	security      *tlsstate.Security
	authenticated bool
	unknown       bool
}

// repeated tells whether there was more than one message.
func (c *cell) repeated() bool { return c.most > 1 || c.last > c.first }

func (c *cell) add(at int64, messages uint32) {
	c.first, c.last = min(c.first, at), max(c.last, at)
	c.most = max(c.most, messages)
	c.sessions++
	c.messages += messages
}

// cells are all of a log. They are most of what a replay remembers: so they are
// small, and hold no pointers for the garbage collector to follow.
type cells struct {
	clients  []*maillog.Client // by number
	kinds    []kind
	kindsOf  map[kind]uint32
	lastKind uint32

	// slabs hold the cells. A cell's place is 1 to count.
	slabs  [][]cell
	places map[key]uint32
	count  uint32
}

const slab = 1 << 12

func newCells() cells {
	return cells{kindsOf: make(map[kind]uint32), places: make(map[key]uint32)}
}

// at returns the cell at a place.
func (cs *cells) at(place uint32) *cell { return &cs.slabs[(place-1)/slab][(place-1)%slab] }

func (cs *cells) client(c *maillog.Client) uint32 {
	for c.Number >= len(cs.clients) {
		cs.clients = append(cs.clients, nil)
	}
	cs.clients[c.Number] = c
	return uint32(c.Number)
}

func (cs *cells) kind(k kind) uint32 {
	if len(cs.kinds) > 0 && cs.kinds[cs.lastKind] == k {
		return cs.lastKind
	}
	n, ok := cs.kindsOf[k]
	if !ok {
		n = uint32(len(cs.kinds))
		cs.kindsOf[k] = n
		cs.kinds = append(cs.kinds, k)
	}
	cs.lastKind = n
	return n
}

// of returns the cell of a key: a new one, if there is none, that begins at the
// given time.
func (cs *cells) of(k key, at int64) *cell {
	if place := cs.places[k]; place != 0 {
		return cs.at(place)
	}
	if cs.count%slab == 0 {
		cs.slabs = append(cs.slabs, make([]cell, slab))
	}
	cs.count++
	cs.places[k] = cs.count
	c := cs.at(cs.count)
	*c = cell{key: k, first: at, last: at}
	return c
}

// sorted returns the places of the cells in the order of time. At the same
// second the better encrypted comes first, and then the order is any, but
// always the same.
func (cs *cells) sorted() []uint32 {
	type moment struct {
		at    int64
		place uint32
	}
	all := make([]moment, cs.count)
	for i := range all {
		place := uint32(i) + 1
		all[i] = moment{cs.at(place).first, place}
	}
	slices.SortFunc(all, func(a, b moment) int {
		if c := cmp.Compare(a.at, b.at); c != 0 {
			return c
		}
		return cs.compare(cs.at(a.place), cs.at(b.place))
	})
	places := make([]uint32, len(all))
	for i, m := range all {
		places[i] = m.place
	}
	return places
}

// compare orders cells that begin at the same second.
func (cs *cells) compare(a, b *cell) int {
	k, l := &cs.kinds[a.kind], &cs.kinds[b.kind]
	c, d := cs.clients[a.client], cs.clients[b.client]
	return cmp.Or(
		cmp.Compare(l.security.Level, k.security.Level),
		strings.Compare(c.Addr, d.Addr),
		strings.Compare(c.Name, d.Name),
		strings.Compare(k.listener.Host, l.listener.Host),
		strings.Compare(k.listener.Service, l.listener.Service),
		strings.Compare(k.security.Protocol, l.security.Protocol),
		strings.Compare(k.security.Cipher, l.security.Cipher),
		compareBool(k.security.Certificate, l.security.Certificate),
		compareBool(k.authenticated, l.authenticated),
		compareBool(k.unknown, l.unknown),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
