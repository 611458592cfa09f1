package maillog

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// decompressed returns what r holds in clear, by its first bytes, and the time
// of the file if the compression keeps it. Nothing is to be closed: with a concurrency
// of 1 zstd starts no goroutine.
func decompressed(r io.Reader) (plain io.Reader, at time.Time, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	magic, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return nil, at, err
	}
	err = nil
	is := func(start string) bool { return bytes.HasPrefix(magic, []byte(start)) }
	name := ""
	switch {
	case is("\x1f\x8b"):
		name = "gzip"
		var z *gzip.Reader
		if z, err = gzip.NewReader(b); err == nil && z.ModTime.Unix() > 0 { // 0 is none (RFC 1952 section 2.3.1)
			at = z.ModTime
		}
		plain = z
	case is("\x28\xb5\x2f\xfd"):
		name = "zstd"
		plain, err = zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
	case is("\xfd7zXZ\x00"):
		name = "xz"
		plain, err = xz.NewReader(b)
	case is("BZh"):
		plain = bzip2.NewReader(b)
	default:
		return b, at, nil
	}
	if err != nil {
		return nil, at, fmt.Errorf("%s: %w", name, err)
	}
	return plain, at, nil
}

// maxWindow bounds the memory of a decompression: zstd --long has 128 MiB.
const maxWindow = 128 << 20
