// The partition of each key on standard input, of PARTITIONS: partitions PARTITIONS.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	partitions, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	partitioner := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	for keys := bufio.NewScanner(os.Stdin); keys.Scan(); {
		key, err := base64.StdEncoding.DecodeString(keys.Text())
		if err != nil {
			panic(err)
		}
		fmt.Println(partitioner.Partition(&kgo.Record{Key: key}, partitions))
	}
}
