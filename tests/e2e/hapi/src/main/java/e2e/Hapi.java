package e2e;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.FilterConfig;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.EnumSet;
import org.eclipse.jetty.ee10.servlet.FilterHolder;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/**
 * HAPI FHIR JPA at http://127.0.0.1:PORT/fhir, behind Basic credentials that the caller gives as E2E_CREDENTIALS
 * ("user:password"). It prints "listening PORT" once it answers, notes every request in the file -De2e.requests, and ends
 * when its standard input does.
 */
public final class Hapi {

    private Hapi() {}

    public static void main(String[] arguments) throws Exception {
        byte[] expected = credentials();
        AnnotationConfigApplicationContext beans = new AnnotationConfigApplicationContext(Storage.class);

        Server jetty = new Server();
        ServerConnector connector = new ServerConnector(jetty, 1, 2);
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.getInteger("e2e.port", 0));
        jetty.addConnector(connector);

        ServletContextHandler context = new ServletContextHandler("/");
        context.addFilter(
                new FilterHolder(new BasicCredentials(expected, Path.of(System.getProperty("e2e.requests")))),
                "/*",
                EnumSet.of(jakarta.servlet.DispatcherType.REQUEST));
        context.addServlet(new ServletHolder(restful(beans)), "/fhir/*");
        jetty.setHandler(context);
        jetty.start();

        System.out.println("listening " + connector.getLocalPort());
        System.out.flush();
        while (System.in.read() != -1) {
            // Whoever started this holds the other end; when it goes, so does the server.
        }
        jetty.stop();
        beans.close();
        System.exit(0);
    }

    private static RestfulServer restful(AnnotationConfigApplicationContext beans) {
        RestfulServer server = new RestfulServer(beans.getBean(FhirContext.class));
        server.registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
        server.registerProvider(beans.getBean(JpaSystemProvider.class));
        server.setPagingProvider(beans.getBean(DatabaseBackedPagingProvider.class));
        server.setDefaultResponseEncoding(EncodingEnum.JSON);
        // Without it the first /metadata counts every search parameter again for every type: a quarter of a minute.
        server.setServerConformanceProvider(new JpaCapabilityStatementProvider(
                server,
                beans.getBean(IFhirSystemDao.class),
                beans.getBean(JpaStorageSettings.class),
                beans.getBean(ISearchParamRegistry.class),
                beans.getBean(IValidationSupport.class)));
        return server;
    }

    private static byte[] credentials() {
        String given = System.getenv("E2E_CREDENTIALS");
        if (given == null || !given.contains(":")) {
            throw new IllegalStateException("E2E_CREDENTIALS must be user:password");
        }
        String encoded = Base64.getEncoder().encodeToString(given.getBytes(StandardCharsets.UTF_8));
        return ("Basic " + encoded).getBytes(StandardCharsets.UTF_8);
    }

    /** Whoever brings other credentials, or none, gets 401 and nothing else; what was let in is noted. */
    private static final class BasicCredentials implements Filter {
        private final byte[] expected;
        private final Path requests;

        private BasicCredentials(byte[] expected, Path requests) {
            this.expected = expected;
            this.requests = requests;
        }

        @Override
        public void init(FilterConfig config) {}

        @Override
        public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
                throws IOException, ServletException {
            String given = ((HttpServletRequest) request).getHeader("Authorization");
            byte[] bytes = given == null ? new byte[0] : given.getBytes(StandardCharsets.UTF_8);
            if (MessageDigest.isEqual(expected, bytes)) {
                note((HttpServletRequest) request);
                chain.doFilter(request, response);
                return;
            }
            HttpServletResponse refused = (HttpServletResponse) response;
            refused.setHeader("WWW-Authenticate", "Basic realm=\"hapi\"");
            refused.setStatus(HttpServletResponse.SC_UNAUTHORIZED);
        }

        /** One line for each request that was let in, written before it is answered. */
        private synchronized void note(HttpServletRequest request) throws IOException {
            String query = request.getQueryString() == null ? "" : "?" + request.getQueryString();
            String line = request.getMethod() + " " + request.getRequestURI() + query + "\n";
            Files.writeString(requests, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        }

        @Override
        public void destroy() {}
    }
}
