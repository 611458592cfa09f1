package servers

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// slots is how many a cluster has.
const slots = 16384

// StartCluster runs a cluster of three masters, with their files below dir.
// Stop each of them when done, whatever the error.
func StartCluster(kind Kind, dir string) (nodes []*Server, err error) {
	for i := range 3 {
		own := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(own, 0o700); err != nil {
			return nodes, err
		}
		bus, err := freeAddr()
		if err != nil {
			return nodes, err
		}
		_, busPort, _ := net.SplitHostPort(bus)
		s, err := Start(kind, own, "--cluster-enabled", "yes", "--cluster-port", busPort, "--cluster-node-timeout", "2000")
		if s != nil {
			nodes = append(nodes, s)
		}
		if err != nil {
			return nodes, err
		}
		if err := s.all(fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", i*slots/3, (i+1)*slots/3-1), fmt.Sprintf("CLUSTER SET-CONFIG-EPOCH %d", i+1)); err != nil {
			return nodes, err
		}
		host, port, _ := net.SplitHostPort(s.Addr)
		if err := nodes[0].all(strings.Join([]string{"CLUSTER MEET", host, port, busPort}, " ")); i > 0 && err != nil {
			return nodes, err
		}
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		ready := 0
		for _, s := range nodes {
			if info, err := s.Do("CLUSTER", "INFO"); err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") {
				ready++
			}
		}
		if ready == len(nodes) {
			return nodes, nil
		}
	}
	return nodes, fmt.Errorf("the %s cluster doesn't come up", kind)
}
