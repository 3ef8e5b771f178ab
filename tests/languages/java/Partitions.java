import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Base64;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;

/** The partition of each key on standard input, of PARTITIONS: java Partitions.java PARTITIONS. */
public class Partitions {
    public static void main(String[] arguments) throws IOException {
        int partitions = Integer.parseInt(arguments[0]);
        try (var keys = new BufferedReader(new InputStreamReader(System.in))) {
            for (String key; (key = keys.readLine()) != null; ) {
                System.out.println(BuiltInPartitioner.partitionForKey(Base64.getDecoder().decode(key), partitions));
            }
        }
    }
}
