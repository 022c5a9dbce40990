import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.List;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.californium.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.client.californium.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.client.californium.endpoint.coaps.CoapsClientProtocolProvider;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.observer.LwM2mClientObserverAdapter;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.LwM2mId;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.BootstrapRequest;
import org.eclipse.leshan.core.request.DeregisterRequest;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/**
 * A device on Eclipse Leshan: {@code LeshanDevice ENDPOINT URI ROLE CID MODE [HEX...]}.
 *
 * <p>ROLE is what serves at URI: {@code management} or {@code bootstrap}. CID is the length of this side's
 * Connection ID, -1 for none at all. MODE is {@code nosec}, or {@code psk} with identity and key, or {@code rpk}
 * and {@code x509} with the own public key or certificate, the private key (PKCS#8) and the server's public key
 * or certificate.
 *
 * <p>What happens is printed line by line. On standard input: {@code battery N}, {@code update}, and the end,
 * upon which it de-registers.
 */
public final class LeshanDevice {
    private static final int SERVER_ID = 123;
    private static final long LIFETIME = 300;

    public static void main(String[] words) throws IOException {
        String uri = words[1];
        boolean bootstrap = words[2].equals("bootstrap");
        byte[][] secrets = new byte[words.length - 5][];
        for (int i = 0; i < secrets.length; i++) {
            secrets[i] = HexFormat.of().parseHex(words[5 + i]);
        }
        Battery device = new Battery();
        ObjectsInitializer objects = new ObjectsInitializer();
        if (bootstrap) {
            objects.setInstancesForObject(LwM2mId.SECURITY, bootstrapAccount(uri, words[4], secrets));
            objects.setClassForObject(LwM2mId.SERVER, Server.class);
        } else {
            objects.setInstancesForObject(LwM2mId.SECURITY, account(uri, words[4], secrets));
            objects.setInstancesForObject(LwM2mId.SERVER, new Server(SERVER_ID, LIFETIME));
        }
        objects.setInstancesForObject(LwM2mId.DEVICE, device);

        LeshanClientBuilder builder = new LeshanClientBuilder(words[0]);
        builder.setObjects(objects.createAll());
        builder.setEndpointsProviders(transports(Integer.parseInt(words[3])));
        LeshanClient client = builder.build();
        client.addObserver(new Teller());
        client.start();
        listen(client, device);
        client.destroy(true);
    }

    private static Security account(String uri, String mode, byte[][] secrets) {
        return switch (mode) {
            case "nosec" -> Security.noSec(uri, SERVER_ID);
            case "psk" -> Security.psk(uri, SERVER_ID, secrets[0], secrets[1]);
            case "rpk" -> Security.rpk(uri, SERVER_ID, secrets[0], secrets[1], secrets[2]);
            case "x509" -> Security.x509(uri, SERVER_ID, secrets[0], secrets[1], secrets[2]);
            default -> throw new IllegalArgumentException(mode);
        };
    }

    private static Security bootstrapAccount(String uri, String mode, byte[][] secrets) {
        return switch (mode) {
            case "nosec" -> Security.noSecBootstrap(uri);
            case "psk" -> Security.pskBootstrap(uri, secrets[0], secrets[1]);
            case "rpk" -> Security.rpkBootstrap(uri, secrets[0], secrets[1], secrets[2]);
            case "x509" -> Security.x509Bootstrap(uri, secrets[0], secrets[1], secrets[2]);
            default -> throw new IllegalArgumentException(mode);
        };
    }

    private static CaliforniumClientEndpointsProvider transports(int cidLength) {
        CaliforniumClientEndpointsProvider.Builder builder = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        Configuration configuration = builder.createDefaultConfiguration();
        configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, cidLength < 0 ? null : cidLength);
        return builder.setConfiguration(configuration).build();
    }

    private static void listen(LeshanClient client, Battery device) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            switch (words[0]) {
                case "battery" -> device.becomes(Integer.parseInt(words[1]));
                case "update" -> client.triggerRegistrationUpdate();
                default -> throw new IllegalArgumentException(line);
            }
        }
    }

    private static synchronized void tell(String line) {
        System.out.println(line);
        System.out.flush();
    }

    /** Object 3 with the Resources that a test reads, observes, writes and executes; Leshan makes one itself. */
    public static final class Battery extends BaseInstanceEnabler {
        private static final int REBOOT = 4;
        private static final int LEVEL = 9;
        private static final int BINDINGS = 16;
        private static final int UTC_OFFSET = 14;
        private volatile long level = 80;
        private volatile String utcOffset = "+01";

        void becomes(long level) {
            this.level = level;
            fireResourceChange(LEVEL);
        }

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            return switch (resource) {
                case 0 -> ReadResponse.success(resource, "Eclipse Leshan");
                case LEVEL -> ReadResponse.success(resource, level);
                case UTC_OFFSET -> ReadResponse.success(resource, utcOffset);
                case BINDINGS -> ReadResponse.success(resource, BindingMode.toString(EnumSet.of(BindingMode.U)));
                default -> super.read(server, resource);
            };
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
            if (resource != UTC_OFFSET) {
                return super.write(server, replace, resource, value);
            }
            utcOffset = (String) value.getValue();
            tell("written " + utcOffset);
            return WriteResponse.success();
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
            if (resource != REBOOT) {
                return super.execute(server, resource, arguments);
            }
            tell("rebooted");
            return ExecuteResponse.success();
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return List.of(0, REBOOT, LEVEL, UTC_OFFSET, BINDINGS);
        }
    }

    /** Says what the client library says. */
    private static final class Teller extends LwM2mClientObserverAdapter {
        @Override
        public void onBootstrapSuccess(LwM2mServer server, BootstrapRequest request) {
            tell("bootstrapped");
        }

        @Override
        public void onBootstrapFailure(
                LwM2mServer server, BootstrapRequest request, ResponseCode code, String message, Exception cause) {
            tell("bootstrap refused " + code + " " + message + " " + cause);
        }

        @Override
        public void onRegistrationSuccess(LwM2mServer server, RegisterRequest request, String registration) {
            tell("registered " + registration);
        }

        @Override
        public void onRegistrationFailure(
                LwM2mServer server, RegisterRequest request, ResponseCode code, String message, Exception cause) {
            tell("registration refused " + code + " " + message + " " + cause);
        }

        @Override
        public void onUpdateSuccess(LwM2mServer server, UpdateRequest request) {
            tell("updated");
        }

        @Override
        public void onUpdateFailure(
                LwM2mServer server, UpdateRequest request, ResponseCode code, String message, Exception cause) {
            tell("update refused " + code + " " + message + " " + cause);
        }

        @Override
        public void onDeregistrationSuccess(LwM2mServer server, DeregisterRequest request) {
            tell("deregistered");
        }

        @Override
        public void onUnexpectedError(Throwable error) {
            tell("error " + error);
        }
    }
}
