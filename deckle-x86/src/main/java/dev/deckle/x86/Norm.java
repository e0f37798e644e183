package dev.deckle.x86;

import dev.deckle.x86.emit.Isa;
import dev.deckle.x86.emit.Kernel;
import dev.deckle.x86.emit.Routine;
import dev.deckle.x86.emit.Value;

import static dev.deckle.x86.emit.Kernel.scalar;

/// RMSNorm and LayerNorm by row, and their gradients; RMSNorm is LayerNorm with a mean of 0 and no bias. With
/// `h = (x - mean) rstd` and `g = dy w`: `dx += rstd (g - mean(g) - h mean(g h))`, where RMSNorm has no mean(g).
final class Norm {
    private final Kernel rms;
    private final Kernel rmsGrad;
    private final Kernel layer;
    private final Kernel layerGrad;

    Norm(Isa isa) {
        rms = new Kernel(isa, Norm::rms);
        rmsGrad = new Kernel(isa, Norm::rmsGrad);
        layer = new Kernel(isa, Norm::layer);
        layerGrad = new Kernel(isa, Norm::layerGrad);
    }

    void rms(long x, long w, long y, long rstd, long rows, int n, double eps) {
        rms.call(rows, n, scalar(n), scalar(eps), x, w, y, rstd);
    }

    private static void rms(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value size = r.scalar();
        Value eps = r.scalar();
        Value x = r.floats(n).load();
        Value w = r.floats().load();
        var y = r.floats(n);
        var rstds = r.column();
        r.rows(rows, () -> {
            Value rstd = r.once(r.sum(n, x.times(x)).over(size).plus(eps).sqrt().reciprocal());
            r.once(rstds.set(rstd));
            r.each(n, y.set(x.times(rstd).times(w)));
        });
    }

    void rmsGrad(long x, long w, long rstd, long dy, long dx, long dw, long rows, int n) {
        rmsGrad.call(rows, n, scalar(n), x, w, rstd, dy, dx, dw);
    }

    private static void rmsGrad(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value size = r.scalar();
        Value x = r.floats(n).load();
        Value w = r.floats().load();
        var rstds = r.column();
        Value dy = r.floats(n).load();
        var dx = r.floats(n);
        var dw = r.floats();
        r.rows(rows, () -> {
            Value rstd = r.once(rstds.load());
            Value h = x.times(rstd);
            Value g = dy.times(w);
            Value meanGh = r.once(r.sum(n, g.times(x)).times(rstd).over(size));
            r.each(n,
                    dx.set(g.minus(h.times(meanGh)).fma(rstd, dx.load())),
                    dw.set(h.fma(dy, dw.load())));
        });
    }

    void layer(long x, long w, long b, long y, long mean, long rstd, long rows, int n, double eps) {
        layer.call(rows, n, scalar(n), scalar(eps), x, w, b, y, mean, rstd);
    }

    private static void layer(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value size = r.scalar();
        Value eps = r.scalar();
        Value x = r.floats(n).load();
        Value w = r.floats().load();
        Value b = r.floats().load();
        var y = r.floats(n);
        var means = r.column();
        var rstds = r.column();
        r.rows(rows, () -> {
            Value mean = r.once(r.sum(n, x).over(size));
            Value centred = x.minus(mean);
            Value rstd = r.once(r.sum(n, centred.times(centred)).over(size).plus(eps).sqrt().reciprocal());
            r.once(means.set(mean));
            r.once(rstds.set(rstd));
            r.each(n, y.set(centred.times(rstd).fma(w, b)));
        });
    }

    void layerGrad(
            long x, long w, long mean, long rstd, long dy, long dx, long dw, long db, long rows, int n) {
        layerGrad.call(rows, n, scalar(n), x, w, mean, rstd, dy, dx, dw, db);
    }

    private static void layerGrad(Routine r) {
        var rows = r.count();
        var n = r.count();
        Value size = r.scalar();
        Value x = r.floats(n).load();
        Value w = r.floats().load();
        var means = r.column();
        var rstds = r.column();
        Value dy = r.floats(n).load();
        var dx = r.floats(n);
        var dw = r.floats();
        var db = r.floats();
        r.rows(rows, () -> {
            Value mean = r.once(means.load());
            Value rstd = r.once(rstds.load());
            Value h = x.minus(mean).times(rstd);
            Value g = dy.times(w);
            Value meanG = r.once(r.sum(n, g).over(size));
            Value meanGh = r.once(r.sum(n, g.times(h)).over(size));
            r.each(n,
                    dx.set(g.minus(meanG).minus(h.times(meanGh)).fma(rstd, dx.load())),
                    dw.set(h.fma(dy, dw.load())),
                    db.set(db.load().plus(dy)));
        });
    }
}
