package posttest

import (
	"net"
	"sync"
)

// sessions are the connections of a server of the tests.
type sessions struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil once closed
}

// serve hands each connection to handle until Close, in a goroutine of its own.
func (s *sessions) serve(l net.Listener, handle func(net.Conn)) {
	s.listener, s.conns = l, make(map[net.Conn]bool)
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			if s.conns == nil {
				c.Close()
			} else {
				s.conns[c] = true
				s.wg.Go(func() {
					defer s.forget(c)
					handle(c)
				})
			}
			s.mu.Unlock()
		}
	})
}

func (s *sessions) forget(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Close ends all sessions and waits for them.
func (s *sessions) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.wg.Wait()
	return err
}
