package dev.deckle.vector;

/// Attention as it is defined, in double, with all probabilities in memory, and its gradient by the chain rule. Arrays
/// are contiguous: (batch, heads, rows, columns).
final class PlainAttention {
    final int batch;
    final int heads;
    final int kvHeads;
    final int queries;
    final int keys;
    final int dim;
    final int valueDim;
    final double scale;
    final long causalOffset;
    final int window; // 0: none
    final double[] q;
    final double[] k;
    final double[] v;
    final double[] dout;
    /// Zero where nothing is masked.
    final double[] mask;
    final double[] out;
    final double[] lse;
    final double[] dq;
    final double[] dk;
    final double[] dv;

    PlainAttention(
            int batch, int heads, int kvHeads, int queries, int keys, int dim, int valueDim,
            double scale, long causalOffset, int window) {
        this.batch = batch;
        this.heads = heads;
        this.kvHeads = kvHeads;
        this.queries = queries;
        this.keys = keys;
        this.dim = dim;
        this.valueDim = valueDim;
        this.scale = scale;
        this.causalOffset = causalOffset;
        this.window = window;
        q = new double[batch * heads * queries * dim];
        k = new double[batch * kvHeads * keys * dim];
        v = new double[batch * kvHeads * keys * valueDim];
        dout = new double[batch * heads * queries * valueDim];
        mask = new double[batch * heads * queries * keys];
        out = new double[dout.length];
        lse = new double[batch * heads * queries];
        dq = new double[q.length];
        dk = new double[k.length];
        dv = new double[v.length];
    }

    void run() {
        for (int b = 0; b < batch; b++) {
            for (int h = 0; h < heads; h++) {
                for (int i = 0; i < queries; i++) {
                    row(b, h, i);
                }
            }
        }
    }

    private void row(int b, int h, int i) {
        int head = b * kvHeads + h / (heads / kvHeads);
        int row = (b * heads + h) * queries + i;
        double[] z = new double[keys];
        double max = Double.NEGATIVE_INFINITY;
        for (int j = 0; j < keys; j++) {
            z[j] = Double.NEGATIVE_INFINITY;
            if (j <= i + causalOffset && (window == 0 || j > i + causalOffset - window)) {
                z[j] = mask[row * keys + j] + scale * dot(q, row * dim, k, (head * keys + j) * dim, dim);
            }
            max = Math.max(max, z[j]);
        }
        if (max == Double.NEGATIVE_INFINITY) {
            lse[row] = max; // sees nothing: the output and all gradients stay 0
            return;
        }
        double sum = 0;
        for (double zj : z) {
            sum += Math.exp(zj - max);
        }
        lse[row] = max + Math.log(sum);
        double[] p = new double[keys];
        double[] dp = new double[keys];
        double expected = 0;
        for (int j = 0; j < keys; j++) {
            p[j] = Math.exp(z[j] - max) / sum;
            dp[j] = dot(dout, row * valueDim, v, (head * keys + j) * valueDim, valueDim);
            expected += p[j] * dp[j];
        }
        for (int j = 0; j < keys; j++) {
            for (int c = 0; c < valueDim; c++) {
                out[row * valueDim + c] += p[j] * v[(head * keys + j) * valueDim + c];
                dv[(head * keys + j) * valueDim + c] += p[j] * dout[row * valueDim + c];
            }
            double dz = p[j] * (dp[j] - expected) * scale;
            for (int c = 0; c < dim; c++) {
                dq[row * dim + c] += dz * k[(head * keys + j) * dim + c];
                dk[(head * keys + j) * dim + c] += dz * q[row * dim + c];
            }
        }
    }

    private static double dot(double[] a, int i, double[] b, int j, int n) {
        double sum = 0;
        for (int c = 0; c < n; c++) {
            sum += a[i + c] * b[j + c];
        }
        return sum;
    }
}
