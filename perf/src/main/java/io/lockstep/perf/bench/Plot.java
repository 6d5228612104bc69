package io.lockstep.perf.bench;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.knowm.xchart.VectorGraphicsEncoder;
import org.knowm.xchart.VectorGraphicsEncoder.VectorGraphicsFormat;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;

/** A plot of one or more series over a common x axis. */
final class Plot {
    private static final int WIDTH = 900;
    private static final int HEIGHT = 500;

    private record Series(String name, List<Double> x, List<Double> y) {}

    private final String file;
    private final String title;
    private final String xTitle;
    private final String yTitle;
    private final boolean logarithmicX;
    private final List<Series> series = new ArrayList<>();

    /** @param file name without extension */
    Plot(String file, String title, String xTitle, String yTitle, boolean logarithmicX) {
        this.file = file;
        this.title = title;
        this.xTitle = xTitle;
        this.yTitle = yTitle;
        this.logarithmicX = logarithmicX;
    }

    Plot series(String name, double[] x, double[] y) {
        series.add(new Series(name, list(x), list(y)));
        return this;
    }

    private static List<Double> list(double[] values) {
        return Arrays.stream(values).boxed().toList();
    }

    /** Writes it as SVG, and returns the file's name. */
    String write(Path directory) throws IOException {
        XYChart chart = new XYChartBuilder()
                .width(WIDTH)
                .height(HEIGHT)
                .title(title)
                .xAxisTitle(xTitle)
                .yAxisTitle(yTitle)
                .build();
        chart.getStyler().setXAxisLogarithmic(logarithmicX);
        for (Series each : series) {
            chart.addSeries(each.name(), each.x(), each.y());
        }
        VectorGraphicsEncoder.saveVectorGraphic(chart, directory.resolve(file).toString(), VectorGraphicsFormat.SVG);
        return file + ".svg";
    }
}
