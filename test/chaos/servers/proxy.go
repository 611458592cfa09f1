package servers

import (
	"io"
	"net"
	"sync"
)

// Proxy is a network between hosts and a server that can go silent: nothing
// arrives any more, and nobody is notified.
type Proxy struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	open   chan struct{} // closed while bytes pass
	conns  map[net.Conn]struct{}
	closed bool
	all    sync.WaitGroup
}

// NewProxy returns a proxy to an address, on loopback. Call Close when done.
func NewProxy(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, target: target, open: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	close(p.open)
	p.all.Go(p.accept)
	return p, nil
}

// URL returns the address as an operator writes it.
func (p *Proxy) URL() string { return "valkey://" + p.listener.Addr().String() }

// Partition keeps what is sent from now on, on old connections and new ones,
// until Heal.
func (p *Proxy) Partition() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
		p.open = make(chan struct{})
	default:
	}
}

// Heal lets everything pass again.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.open:
	default:
		close(p.open)
	}
}

// Close closes the proxy and its connections.
func (p *Proxy) Close() {
	p.Heal()
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.all.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	if !p.track(c) {
		return
	}
	p.wait()
	s, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer s.Close()
	if !p.track(s) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.pass(s, c) })
	both.Go(func() { p.pass(c, s) })
	both.Wait()
}

// track has Close close the connection.
func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return !p.closed
}

func (p *Proxy) wait() {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	<-open
}

func (p *Proxy) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 1<<16)
	for {
		n, err := from.Read(b)
		p.wait()
		if _, werr := to.Write(b[:n]); werr != nil || err != nil && err != io.EOF || n == 0 {
			return
		}
	}
}
