package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// playedLines is how many new lines a journalctl of ours prints until it ends.
const playedLines = 150

var loggedLine = regexp.MustCompile(`^(\w{3} +\d+ [\d:]{8}) (\S+) ([^\[]+)\[(\d+)\]: (.*)$`)

// playJournal is journalctl -o json --follow --since=@SECONDS, but that its journal
// is Postfix's file. Each line has a microsecond of its own in the second that it was
// logged in. It ends by itself after some lines, as journalctl does when journald is
// restarted or the system is short of memory.
func playJournal(args []string) int {
	since := 0
	for _, arg := range args {
		if at, ok := strings.CutPrefix(arg, "--since=@"); ok {
			since, _ = strconv.Atoi(at)
		}
	}
	file, err := os.Open(os.Getenv("E2E_MAILLOG"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	in, old, fresh, begun := bufio.NewReader(file), info.Size(), 0, ""
	for n := 0; fresh < playedLines; {
		text, err := in.ReadString('\n')
		if begun += text; err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if old -= int64(len(begun)); old < 0 {
			fresh++
		}
		if n++; !printRecord(strings.TrimSuffix(begun, "\n"), n, since) {
			return 0 // the reader is gone
		}
		begun = ""
	}
	return 1
}

// printRecord prints the record of a line, the n-th. It reports whether somebody reads.
func printRecord(line string, n, since int) bool {
	part := loggedLine.FindStringSubmatch(line)
	if part == nil {
		return true
	}
	at, err := time.ParseInLocation(time.Stamp, part[1], time.Local)
	if err != nil {
		return true
	}
	at = at.AddDate(time.Now().Year(), 0, 0)
	if at.Unix() < int64(since) {
		return true
	}
	record, err := json.Marshal(map[string]string{
		"__CURSOR": fmt.Sprintf("s=e2e;i=%x", n), "__REALTIME_TIMESTAMP": strconv.FormatInt(at.UnixMicro()+int64(n), 10),
		"SYSLOG_IDENTIFIER": part[3], "SYSLOG_PID": part[4], "_PID": part[4], "MESSAGE": part[5],
	})
	if err == nil {
		_, err = fmt.Println(string(record))
	}
	return err == nil
}
